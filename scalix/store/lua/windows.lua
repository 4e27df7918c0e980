-- Loaded before every script's own text.
--
-- A subject's windows are one hash: a field for each window, named by a letter and the window's index
-- (m: minute, h: hour, d: day, M: month), holding whole numbers: requests, tokens, nano-dollars settled; requests, tokens,
-- nano-dollars held by requests in flight; then of each later metric what is settled and held, as far as it is not zero.
-- A virtual key's windows are such a hash too, in the shard of the key's user: m and the minute's index, b and the start
-- in ms of the budget period where the key has periods, t for its whole life. It stays as long as the key's record does.

local floor, format, match, gmatch, sub = math.floor, string.format, string.match, string.gmatch, string.sub

-- The metrics in the order of `Metric` in domain/limits/limits.py. `is_exact`: known before the answer, whose length it says
-- nothing about, and rarely given back. `may_be_none`: who needs none of it is let through, also where more than all is
-- used. `word`: the place of what is charged in a swept event; the first of the later fields has the 27th.
local METRICS = {
  {word = 2, is_exact = true}, -- requests
  {word = 3}, -- tokens
  {word = 4, may_be_none = true}, -- nano-dollars
}
local COUNT, TOKENS, NANO_USD = #METRICS, 2, 3
local NO_USE = '0 0 0 0 0 0'

local LETTERS = {'m', 'h', 'd', 'M'}
local WINDOW = '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)(.*)$'
-- A subject stays known for a month after the month of its last request.
local KEEP_AFTER_MONTH_MS = 31 * 86400000
-- A server ends keys by its own clock, at once when that jumps ahead. So the end of a key comes long after the time for
-- which it is kept, and what is too old is removed once a day: see remove_ended.lua.
local CLOCK_GRACE_MS = 400 * 86400000
-- Reservations outlive every window that they are held in: however long all gateways have been down, a sweep finds them.
local INDEX_TTL_MS = 64 * 86400000 + CLOCK_GRACE_MS

local function now_or_server_time(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + floor(tonumber(time[2]) / 1000)
end

-- Days since 1970-01-01 to year * 12 + month - 1 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
local function month_of_day(day)
  local z = day + 719468
  local era = floor(z / 146097)
  local doe = z - era * 146097
  local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524) - floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))
  local mp = floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return year * 12 + month - 1
end

-- The first day of a month index, as days since 1970-01-01 (same source: days_from_civil).
local function first_day_of_month(index)
  local year, month = floor(index / 12), index % 12 + 1
  local y = month <= 2 and year - 1 or year
  local era = floor(y / 400)
  local yoe = y - era * 400
  local mp = month > 2 and month - 3 or month + 9
  local doy = floor((153 * mp + 2) / 5)
  local doe = yoe * 365 + floor(yoe / 4) - floor(yoe / 100) + doy
  return era * 146097 + doe - 719468
end

local function indexes(at_ms)
  local day = floor(at_ms / 86400000)
  return {m = floor(at_ms / 60000), h = floor(at_ms / 3600000), d = day, M = month_of_day(day)}
end

local function fields_of(index, with_minutes)
  local fields = {}
  for position = with_minutes and 1 or 2, 4 do
    local letter = LETTERS[position]
    fields[#fields + 1] = letter .. index[letter]
  end
  return fields
end

-- The numbers of a text, and zeros after them up to `least` numbers.
local function numbers_of(text, least)
  local numbers = {}
  -- Adding makes numbers of them at half the price of tonumber.
  for number in gmatch(text, '%-?%d+') do numbers[#numbers + 1] = number + 0 end
  for place = #numbers + 1, least do numbers[place] = 0 end
  return numbers
end

local function append(list, ...)
  for _, value in ipairs({...}) do list[#list + 1] = value end
end

local NOTHING = {}
for place = 1, COUNT do NOTHING[place] = 0 end

-- A window's numbers: what is settled of each metric, then what is held of each. `later` is what a newer version has written.
local function unpacked(text)
  local a, b, c, d, e, f, later = match(text or NO_USE, WINDOW)
  local tally = {a + 0, b + 0, c + 0, d + 0, e + 0, f + 0}
  if COUNT > 3 then tally = {a + 0, b + 0, c + 0, [COUNT + 1] = d + 0, [COUNT + 2] = e + 0, [COUNT + 3] = f + 0} end
  for place = 4, COUNT do
    local settled, held, rest = match(later, '^ (%d+) (%d+)(.*)$')
    tally[place], tally[COUNT + place], later = (settled or 0) + 0, (held or 0) + 0, rest or ''
  end
  if later ~= '' then tally.later = later end
  return tally
end

local MOST = 9007199254740991 -- beyond 2^53 numbers are no longer exact, beyond 2^63 no longer numbers
local function packed(tally)
  for place = 2, 2 * COUNT do
    if tally[place] > MOST then tally[place] = MOST end
  end
  local later = tally.later or ''
  for place = COUNT, 4, -1 do
    local settled, held = tally[place], tally[COUNT + place]
    if later ~= '' or settled ~= 0 or held ~= 0 then later = format(' %d %d', settled, held) .. later end
  end
  return format('%d %d %d %d %d %d', tally[1], tally[2], tally[3], tally[COUNT + 1], tally[COUNT + 2], tally[COUNT + 3]) .. later
end

-- The windows of a hash, as numbers and as they stand there, and whether one of them is new.
local function read_windows(key, fields)
  local texts, tallies, turned = redis.call('HMGET', key, unpack(fields)), {}, false
  for position = 1, #fields do
    tallies[position] = unpacked(texts[position])
    turned = turned or not texts[position]
  end
  return tallies, texts, turned
end

-- Adds to windows as they were read, and writes them. Returns their texts.
local function write_windows(key, fields, tallies, used, held)
  local texts, write = {}, {key}
  for position, tally in ipairs(tallies) do
    for place = 1, COUNT do
      -- Neither goes below zero: a reset, or the end of a window, may have emptied it before.
      local settled, holds = tally[place] + used[place], tally[COUNT + place] + held[place]
      tally[place] = settled > 0 and settled or 0
      tally[COUNT + place] = holds > 0 and holds or 0
    end
    local text = packed(tally)
    texts[position] = text
    write[2 * position] = fields[position]
    write[2 * position + 1] = text
  end
  redis.call('HSET', unpack(write))
  return texts
end

-- Adds windows to a reply: field, with `prefix` if there is one, and text in turn.
local function tell(reply, fields, texts, prefix)
  for position, field in ipairs(fields) do
    reply[#reply + 1] = prefix and prefix .. field or field
    reply[#reply + 1] = texts[position] or NO_USE
  end
  return reply
end

-- A hash of windows is kept until a month after the month of its last use; never without an end. Enough when some window is
-- new: within a month the end stays the same, and a key that was not there has none of its windows.
local function keep_windows(key, now)
  local next_month = month_of_day(floor(now / 86400000)) + 1
  local lifetime = first_day_of_month(next_month) * 86400000 + KEEP_AFTER_MONTH_MS + CLOCK_GRACE_MS - now
  if redis.call('PTTL', key) < lifetime - 3600000 then
    redis.call('PEXPIRE', key, string.format('%.0f', lifetime))
  end
end

-- Where a subject's windows are. Those of a user who was erased stay under a pseudonym until the month ends, and are used
-- by the same user who comes back, so that to be erased is no new quota. With `at_ms`, the time of a request: nil as the
-- key when it is of before the erasure and its windows have gone, and whether it is of before the erasure.
local function windows_of(own, erasure, pseudonyms, at_ms)
  local erased_ms = redis.call('GET', erasure)
  if not erased_ms then return own, false, false end
  local is_before = at_ms <= tonumber(erased_ms)
  if redis.call('EXISTS', pseudonyms) == 1 then return pseudonyms, true, is_before end
  if is_before then return nil, false, true end
  return own, false, false
end

local function key_fields_of(at_ms, budget_start)
  local fields = {'m' .. math.floor(at_ms / 60000), 't'}
  if budget_start > 0 then fields[3] = 'b' .. string.format('%d', budget_start) end
  return fields
end

-- A reservation's text: admitted_ms, tracks_minutes, prompt tokens, output cap per choice, tokens, nano-dollars held,
-- and the nano-dollars to be charged for the prompt alone; the key's id (-: none) and the start of its budget period (0: none); then
-- tier and model as words, whether it is billed (-: no; b: yes; h: yes, and held in the balance), the provider's price of
-- the prompt alone in nano-dollars, and the price version as a word. Older ones end with the budget period, or before it. Last,
-- and only where they are not zero, what it holds of the metrics after the third.
local RESERVATION = '^(%d+) (%d) (%d+) (%d+) (%d+) (%d+) (%d+) ?(%S*) ?(%d*) ?(%S*) ?(%S*) ?(%S*) ?(%d*) ?(%S*)(.*)$'

local function reservation_of(text)
  local admitted_ms, minutes, prompt, cap, tokens, nano_usd, prompt_nano_usd, key_id, budget_start, tier, model, billed,
    prompt_cost, price_version, later = match(text, RESERVATION)
  local known = tier ~= ''
  local given_back, if_swept = {-1, -tokens, -nano_usd}, {1, prompt + 0, prompt_nano_usd + 0}
  if COUNT > 3 then
    for place, amount in ipairs(numbers_of(later, COUNT - 3)) do
      given_back[place + 3], if_swept[place + 3] = -amount, amount
    end
  end
  return {
    admitted_ms = admitted_ms + 0, tracks_minutes = minutes == '1', cap = cap + 0,
    given_back = given_back, if_swept = if_swept, key_id = key_id == '-' and '' or key_id,
    budget_start = tonumber(budget_start) or 0, tier = known and tier or '-', model = known and model or '-',
    is_billed = billed == 'b' or billed == 'h', balance_held = billed == 'h' and -given_back[NANO_USD] or 0,
    prompt_cost = (known and prompt_cost or prompt_nano_usd) + 0, price_version = known and price_version or '-',
  }
end

-- A balance as it is: nano-dollars and those held, or nothing where there is none.
local function balance_of(key)
  local found = redis.call('HMGET', key, 'nano', 'held')
  if not found[1] then return nil end
  return tonumber(found[1]), tonumber(found[2] or 0)
end
