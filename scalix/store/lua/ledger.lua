-- Loaded after charges.lua and people.lua, before settle, sweep and release: events, and the sums that are kept beside them.
--
-- An event's text is words in the order of EVENT_FIELDS of domain/ledger/ledger.py; a sweep's has three more, for a settlement
-- or a release to undo it: tracks_minutes, the start of the key's budget period, and whether the balance was charged.
-- What later versions have added follows, and last the version. Gateways of several versions run on one store: what they
-- undo of each other's stays where it is, and what they do not know is left alone.
--
-- The books of one day are ten keys in a row, the first of them at `first` in KEYS:
--   events of the subject (hash: id -> event)
--   + 1 the subject's sums of the month (hash: "day model tier key")
--   + 2 everybody's sums of the day by hour (hash: "hour model provider tier outcome error")
--   + 3 everybody's sums of the month by day (hash: "day model provider tier outcome error")
--   + 4 and 5 rankings of the day by tokens and by cost (sorted sets of subjects)
--   + 6 who was there: see people.lua
--   + 7 first bytes of the day (hash: how many events by the bucket of their first byte, n for those without one; and r for
--     those that were rescued). All buckets together are as many as there are events, which tells whether all gateways
--     have written this hash, and the one before
--   + 8 the shard's events of the day in time (sorted set: "id subject" by the ms of admission)
--   + 9 the subject's, once they are more than a page reads as a whole (sorted set: id by the same)
-- Sums are eleven figures in the order of `Sums` of domain/ledger.py, for good: what else is ever summed goes into a hash
-- beside them, as gateways of before can read no twelfth. What is taken from sums that have gone by their age
-- brings nothing back.
--
-- What an event adds to them is {admitted_ms, tokens, cost, everybodys = what follows the index in fields of everybody's
-- sums, own = in those of the subject, sums = text of its figures, first_byte = its bucket, is_rescued}.

local WORDS = 23
-- Up to so many events of a subject and day are read as a whole; beyond, they have an index of their own.
local READ_WHOLE = 256
local ADMITTED, KEY, COST, CHARGE = 6, 7, 16, 17
local PEOPLE_SINCE = 4
local DAY_MS = 86400000
local ELEVEN = '^(%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+)$'
local TEXT = '%d %d %d %d %d %d %d %d %d %d %d'

local function is_swept(event)
  return string.sub(event, 1, 6) == 'swept '
end

local function words_of(event)
  local words = {}
  for word in string.gmatch(event, '%S+') do words[#words + 1] = word end
  return words
end

-- What a sweep has charged, as what takes it back.
local function swept_of(words)
  local used = {}
  for position, metric in ipairs(METRICS) do used[position] = -(tonumber(words[metric.word] or '') or 0) end
  return {
    used = used,
    admitted_ms = tonumber(words[ADMITTED]), key_id = words[KEY] == '-' and '' or words[KEY],
    tracks_minutes = words[WORDS + 1] == '1', budget_start = tonumber(words[WORDS + 2]),
    balance = words[WORDS + 3] == '1' and tonumber(words[CHARGE]) or 0,
  }
end

-- What a sweep's event adds to the sums; one of a gateway of before was not counted among first bytes.
local function addition_of(words)
  local model, tier = words[9], words[8]
  local version = tonumber(match(words[#words], '^v(%d+)$') or '1')
  if string.sub(model, 1, 1) == '=' then model = 'other' end
  return {
    admitted_ms = tonumber(words[ADMITTED]), tokens = tonumber(words[3]), cost = tonumber(words[COST]),
    everybodys = table.concat({model, words[11], tier, words[1], words[22]}, ' '),
    own = table.concat({model, tier, words[KEY]}, ' '), first_byte = version >= PEOPLE_SINCE and 'n' or nil,
    sums = table.concat({'1', words[2], words[3], words[12], words[13], words[14], words[15],
      words[4], words[COST], words[CHARGE], words[19]}, ' '),
  }
end

-- Gives a key that is new its end, which does not move any more: some days after the day, or after its month, and the
-- grace. A day from now at least, so that what is told twice within it is known.
local function keep(key, now, day, days, by_month)
  if redis.call('PTTL', key) >= 0 then return end
  local ended = by_month and first_day_of_month(month_of_day(day) + 1) or day + 1
  redis.call('PEXPIRE', key, format('%.0f', math.max((ended + days) * DAY_MS - now, DAY_MS) + CLOCK_GRACE_MS))
end

-- Returns whether the field is new, or was taken out.
local function add(key, field, addition, sign, now, day, days, by_month)
  local text = redis.call('HGET', key, field)
  if not text then
    if sign > 0 then
      redis.call('HSET', key, field, addition.sums)
      keep(key, now, day, days, by_month)
    end
    return sign > 0
  end
  local a, b, c, d, e, f, g, h, i, j, k = match(text, ELEVEN)
  if sign < 0 and tonumber(a) <= 1 then
    redis.call('HDEL', key, field)
    return true
  end
  local more = addition.parts
  if not more then
    more = {match(addition.sums, ELEVEN)}
    addition.parts = more
  end
  redis.call('HSET', key, field, format(TEXT, a + sign, b + sign * more[2], c + sign * more[3], d + sign * more[4],
    e + sign * more[5], f + sign * more[6], g + sign * more[7], h + sign * more[8], i + sign * more[9],
    j + sign * more[10], k + sign * more[11]))
end

local function rank(key, subject, amount, sign, now, day, days)
  if amount == 0 or sign < 0 and not redis.call('ZSCORE', key, subject) then return end
  local score = tonumber(redis.call('ZINCRBY', key, format('%.0f', sign * amount), subject))
  if score <= 0 then
    redis.call('ZREM', key, subject)
  elseif score == amount then
    keep(key, now, day, days)
  end
end

local function count_first_byte(key, name, sign, now, day, days)
  if not name or sign < 0 and redis.call('HEXISTS', key, name) == 0 then return end
  local count = redis.call('HINCRBY', key, name, sign)
  if count == 0 then
    redis.call('HDEL', key, name)
  elseif count == 1 and sign > 0 then
    keep(key, now, day, days)
  end
end

-- Notes that a subject was there, or no longer is: with any other model or key in this tier it still is.
local function note_subject(first, addition, subject, sign, day)
  local tier = match(addition.own, '^%S+ (%S+)')
  if tier == '-' then return end
  if sign < 0 then
    for _, field in ipairs(redis.call('HKEYS', KEYS[first + 1])) do
      local of_day, of_tier = match(field, '^(%d+) %S+ (%S+)')
      if tonumber(of_day) == day and of_tier == tier then return end
    end
  end
  -- Sums of the month and windows are of before anybody was noted, too.
  local function before()
    for _, field in ipairs(redis.call('HKEYS', KEYS[first + 1])) do
      if tonumber(match(field, '^%d+')) < day then return true end
    end
    local windows = redis.call('HGETALL', KEYS[1])
    for place = 1, #windows, 2 do
      local letter, number = match(windows[place], '^([dM])(%d+)$')
      local index = letter == 'd' and day or month_of_day(day)
      if letter and tonumber(number) < index and unpacked(windows[place + 1])[1] > 0 then return true end
    end
    return false
  end
  note_person(KEYS[first + 6], subject, day, tier, sign > 0 and 'there' or 'gone', before)
end

-- Adds an event to the sums (`sign` of 1), or takes it out of them (-1). `hours_days` and `days_days` are how many days
-- by hour and by day are kept. `is_nobodys`: only in the sums that name nobody.
local function sum_up(first, addition, subject, sign, now, hours_days, days_days, is_nobodys)
  local at_ms = addition.admitted_ms
  local day = floor(at_ms / DAY_MS)
  local everybodys = ' ' .. addition.everybodys
  add(KEYS[first + 2], floor(at_ms / 3600000) .. everybodys, addition, sign, now, day, hours_days)
  add(KEYS[first + 3], day .. everybodys, addition, sign, now, day, days_days, true)
  count_first_byte(KEYS[first + 7], addition.first_byte, sign, now, day, hours_days)
  if addition.is_rescued then count_first_byte(KEYS[first + 7], 'r', sign, now, day, hours_days) end
  if day < floor(now / DAY_MS) then count_people(KEYS[first + 6], {[day] = {late = 1}}) end
  if is_nobodys then return end
  local turned = add(KEYS[first + 1], day .. ' ' .. addition.own, addition, sign, now, day, days_days, true)
  if turned then note_subject(first, addition, subject, sign, day) end
  rank(KEYS[first + 4], subject, addition.tokens, sign, now, day, hours_days)
  rank(KEYS[first + 5], subject, addition.cost, sign, now, day, hours_days)
end

-- Puts events of a day, as ids and texts in turn, in time.
local function index_in_time(key, events)
  local write = {key}
  for position = 1, #events, 2 do
    append(write, match(events[position + 1], '^%S+ %S+ %S+ %S+ %S+ (%d+)'), events[position])
  end
  redis.call('ZADD', unpack(write))
end

-- Writes an event. One of before its user's erasure is kept under the request's id alone, without its key.
local function write_event(first, tombstone, id, subject, event, at_ms, now, events_days, is_nobodys)
  local day = floor(at_ms / DAY_MS)
  if is_nobodys then
    local words = words_of(event)
    words[KEY] = '-'
    local lifetime_ms = math.max((day + 1 + events_days) * DAY_MS - now, DAY_MS)
    redis.call('SET', tombstone, table.concat(words, ' '), 'PX', format('%.0f', lifetime_ms))
    return
  end
  redis.call('HSET', KEYS[first], id, event)
  redis.call('ZADD', KEYS[first + 8], at_ms, id .. ' ' .. subject)
  local count, key = redis.call('HLEN', KEYS[first]), KEYS[first + 9]
  if count == 1 then
    keep(KEYS[first], now, day, events_days)
    keep(KEYS[first + 8], now, day, events_days)
  elseif count == READ_WHOLE + 1 then
    index_in_time(key, redis.call('HGETALL', KEYS[first]))
    keep(key, now, day, events_days)
  elseif count > READ_WHOLE and redis.call('EXISTS', key) == 1 then
    -- A day that a gateway of the version before has let grow has none: who reads it counts both.
    redis.call('ZADD', key, at_ms, id)
  end
end
