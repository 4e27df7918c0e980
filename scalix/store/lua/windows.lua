-- Shared by admit, settle, release and sweep, which are loaded with this text before their own.
--
-- A subject's windows are one hash: a field for each window, named by a letter and the window's index
-- (m: minute, h: hour, d: day, M: month), holding six whole numbers:
--   requests, tokens, nano-dollars settled; requests, tokens, nano-dollars held by requests in flight.
-- A virtual key's windows are such a hash too, in the shard of the key's user: m and the minute's index, b and the start
-- in ms of the budget period where the key has periods, t for its whole life. It stays as long as the key's record does.

local floor, format, match = math.floor, string.format, string.match

local LETTERS = {'m', 'h', 'd', 'M'}
local SIX = '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$'
-- A subject stays known for a month after the month of its last request.
local KEEP_AFTER_MONTH_MS = 31 * 86400000
-- Reservations outlive every window that they are held in: however long all gateways have been down, a sweep finds them.
local INDEX_TTL_MS = 63 * 86400000

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

local function unpacked(text)
  if not text then return {0, 0, 0, 0, 0, 0} end
  local a, b, c, d, e, f = match(text, SIX)
  -- Adding makes numbers of them at half the price of tonumber.
  return {a + 0, b + 0, c + 0, d + 0, e + 0, f + 0}
end

local MOST = 9007199254740991 -- beyond 2^53 numbers are no longer exact, beyond 2^63 no longer numbers
local function packed(six)
  for position = 2, 6 do
    if six[position] > MOST then six[position] = MOST end
  end
  return format('%d %d %d %d %d %d', six[1], six[2], six[3], six[4], six[5], six[6])
end

-- A hash of windows lives until a month after the month of its last use; never without an end. Enough when some window is
-- new: within a month the end stays the same, and a key that was not there has none of its windows.
local function keep_windows(key, now)
  local next_month = month_of_day(floor(now / 86400000)) + 1
  local lifetime = first_day_of_month(next_month) * 86400000 + KEEP_AFTER_MONTH_MS - now
  if redis.call('PTTL', key) < lifetime - 3600000 then
    redis.call('PEXPIRE', key, string.format('%.0f', lifetime))
  end
end

-- Adds to the settled part and takes from the held part of every window that at_ms lies in. Neither goes below zero:
-- a reset or the end of a window may have emptied it before. Returns the fields and their new texts, in turn.
-- Callers do this before any other write: a server out of memory refuses HSET but not HDEL, and a script that has
-- failed must not have taken the reservation away.
local function change_windows(key, now, at_ms, with_minutes, used, held)
  local fields = fields_of(indexes(at_ms), with_minutes)
  local texts = redis.call('HMGET', key, unpack(fields))
  local reply, write, turned = {}, {key}, false
  for position, field in ipairs(fields) do
    turned = turned or not texts[position]
    local six = unpacked(texts[position])
    for metric = 1, 3 do
      six[metric] = math.max(0, six[metric] + used[metric])
      six[metric + 3] = math.max(0, six[metric + 3] + held[metric])
    end
    local text = packed(six)
    write[#write + 1] = field
    write[#write + 1] = text
    reply[#reply + 1] = field
    reply[#reply + 1] = text
  end
  redis.call('HSET', unpack(write))
  if turned then keep_windows(key, now) end
  return reply
end

local function key_fields_of(at_ms, budget_start)
  local fields = {'m' .. math.floor(at_ms / 60000), 't'}
  if budget_start > 0 then fields[3] = 'b' .. string.format('%d', budget_start) end
  return fields
end

-- The same for a key's windows. A key that was deleted meanwhile has none any more, and gets none. Only after
-- change_windows, for the same reason as there.
local function change_key_windows(key, key_record, at_ms, budget_start, used, held)
  if redis.call('EXISTS', key_record) == 0 then return end
  local fields = key_fields_of(at_ms, budget_start)
  local texts = redis.call('HMGET', key, unpack(fields))
  local write = {key}
  for position, field in ipairs(fields) do
    local six = unpacked(texts[position])
    for metric = 1, 3 do
      six[metric] = math.max(0, six[metric] + used[metric])
      six[metric + 3] = math.max(0, six[metric + 3] + held[metric])
    end
    write[#write + 1] = field
    write[#write + 1] = packed(six)
  end
  redis.call('HSET', unpack(write))
end

-- A reservation's text: admitted_ms, tracks_minutes, prompt tokens, output cap per choice, tokens, nano-dollars held,
-- and the nano-dollars of the prompt alone; then, of a request with a virtual key, the key's id and the start of its
-- budget period (0: none).
local RESERVATION = '^(%d+) (%d) (%d+) (%d+) (%d+) (%d+) (%d+) ?(%S*) ?(%d*)$'

local function reservation_of(text)
  local admitted_ms, minutes, prompt, cap, tokens, nano_usd, prompt_nano_usd, key_id, budget_start =
    string.match(text, RESERVATION)
  return {
    admitted_ms = tonumber(admitted_ms), tracks_minutes = minutes == '1', prompt_tokens = tonumber(prompt),
    cap = tonumber(cap), tokens = tonumber(tokens), nano_usd = tonumber(nano_usd),
    prompt_nano_usd = tonumber(prompt_nano_usd), key_id = key_id, budget_start = tonumber(budget_start) or 0,
  }
end

-- Ends a reservation: out of the requests in flight and out of the lease index.
local function forget(in_flight, leases, id, subject)
  redis.call('HDEL', in_flight, id)
  redis.call('ZREM', leases, id .. ' ' .. subject)
end

local NOTHING = {0, 0, 0}

-- What takes a reservation out of the held part of its windows.
local function given_back(reserved)
  return {-1, -reserved.tokens, -reserved.nano_usd}
end

-- An event's text: outcome, requests, tokens, nano-dollars, estimated (1|0); a sweep's also admitted_ms and
-- tracks_minutes, and key and budget period where there is a key, for a release to undo it.
local SWEPT = '^swept (%d+) (%d+) (%d+) %d (%d+) (%d) ?(%S*) ?(%d*)$'

-- What a sweep has charged, as what takes it back; nothing for another event.
local function swept_of(event)
  local requests, tokens, nano_usd, admitted_ms, minutes, key_id, budget_start = string.match(event or '', SWEPT)
  if not requests then return nil end
  return {
    used = {-tonumber(requests), -tonumber(tokens), -tonumber(nano_usd)}, admitted_ms = tonumber(admitted_ms),
    tracks_minutes = minutes == '1', key_id = key_id, budget_start = tonumber(budget_start) or 0,
  }
end

local function write_event(key, id, outcome, requests, tokens, nano_usd, estimated, lifetime_ms)
  redis.call('HSET', key, id, string.format('%s %s %s %s %s', outcome, requests, tokens, nano_usd, estimated))
  redis.call('PEXPIRE', key, lifetime_ms)
end
