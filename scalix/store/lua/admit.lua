-- Reserves room for one request in all windows of a subject, or consumes nothing.
-- Idempotent by request id while the request is in flight.
--
-- KEYS  1 windows (hash)  2 requests in flight (hash: id -> reservation)  3 lease index (sorted set: "id subject")
--       4 user's record (hash)  5 tombstone (string; there when this id was released before it was admitted)
--       6 shadow counts of the shard (hash: "day limit tier" -> requests), touched only by a refusal in the shadow
--       7 erasure of the subject (string)  8 windows under the pseudonym (hash)  9 balance (hash)
--       10 who was there: see people.lua (hash), touched only by a refusal
--       with a virtual key also 11 key's windows (hash)  12 key's record (hash)
-- ARGV  1 request id  2 subject  3 now in ms ('' for the server's time)  4 expected record version ('' for any)
--       5 lease in ms  6 prompt tokens  7 output cap, tokens per choice  8 least output, tokens per choice  9 choices
--       10 input and 11 output price, pico-dollars per token  12 nano-dollars per request
--       13 most requests in flight (-1: any)  14 whether that is enforced (1|0)  15 tier ('' counts no shadow)
--       16 key id ('' for none)  17 expected version of the key's record  18 most requests in flight with it (-1: any)
--       19 start of its first budget period in ms  20 length of a period in ms (0: no periods)
--       21 whether it is billed: taken from the balance, if there is one (1|0)  22 whether there must be a balance (1|0)
--       23 tier and 24 model as words  25 price version as a word  26 the provider's price of the prompt alone in
--       nano-dollars ('': as for the limits)  27 what is charged for the prompt alone if the worker dies ('': likewise)
--       28 least prompt tokens, where those of 6 are an estimate ('': they are the last word)
--       29 what it needs of the metrics after the third, as a text ('': nothing)
--       then four for each limit: position of its metric in METRICS, letter of its window
--       (of the key's: km, kb, kt), value, whether it is enforced (1|0)
-- Returns {status, now in ms, admitted in ms, output cap per choice, requests in flight, concurrent full (1|0),
--          a verdict for each limit ('0' fits, '1' exhausted, '2' reserved), tracks minutes (1|0), version and
--          whose it is ('user'|'key') where status is 'stale', key's concurrency full (1|0), start of its budget period,
--          verdict of the balance, the balance ("nano held", '' where there is none or it is not billed),
--          field, text, field, text, …} with status 'admitted' | 'refused' | 'stale' | 'finished' | 'count'; the key's
--          fields have a k before them. 'count': it depends on how good the estimate is; in place of the cap then the
--          most prompt tokens with which it would not be refused for good (-1: any)

local SHADOW_DAYS = 35
local FIRST_LIMIT = 30

local id, subject = ARGV[1], ARGV[2]
local now = now_or_server_time(ARGV[3])

if ARGV[4] ~= '' then
  local version = redis.call('HGET', KEYS[4], 'version') or '0'
  if version ~= ARGV[4] then return {'stale', now, 0, 0, 0, 0, '', 0, version, 'user', 0, 0, '0', ''} end
end
local with_key = ARGV[16] ~= ''
if with_key then
  local version = redis.call('HGET', KEYS[12], 'version') or '0'
  if version ~= ARGV[17] then return {'stale', now, 0, 0, 0, 0, '', 0, version, 'key', 0, 0, '0', ''} end
end
if redis.call('EXISTS', KEYS[5]) == 1 then return {'finished', now, 0, 0, 0, 0, '', 0, '', '', 0, 0, '0', ''} end

local prompt, cap, least, choices = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local input_pico, output_pico, request_nano = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local concurrent, enforce_concurrent = tonumber(ARGV[13]), ARGV[14] == '1'

local windows, has_end = windows_of(KEYS[1], KEYS[7], KEYS[8], now)
windows = windows or KEYS[1]
local is_billed, balance, balance_held = ARGV[21] == '1', nil, 0
if is_billed then balance, balance_held = balance_of(KEYS[9]) end
local balance_verdict = '0'

local tracks_minutes = false
for position = FIRST_LIMIT, #ARGV, 4 do
  if ARGV[position + 1] == 'm' then tracks_minutes = true end
end
local key_concurrent, budget_start = tonumber(ARGV[18]), 0
if with_key and tonumber(ARGV[20]) > 0 then
  local anchor, period = tonumber(ARGV[19]), tonumber(ARGV[20])
  budget_start = anchor + math.floor(math.max(0, now - anchor) / period) * period
end

-- Whole nano-dollars and the pico-dollars beyond them are summed apart, so that all of a cost is exact up to 2^53
-- nano-dollars, not pico-dollars.
local input_nano, output_nano = math.floor(input_pico / 1000), math.floor(output_pico / 1000)
local input_rest, output_rest = input_pico % 1000, output_pico % 1000
local function cost(output_tokens, prompt_tokens)
  prompt_tokens = prompt_tokens or prompt
  return request_nano + prompt_tokens * input_nano + output_tokens * output_nano
    + math.ceil((prompt_tokens * input_rest + output_tokens * output_rest) / 1000)
end

-- Counts a refusal that limits without enforcement would have made: under each of them, and under '*' once.
local function count_shadow(limits)
  local today, turned = math.floor(now / 86400000), false
  for _, limit in ipairs(limits) do
    local field = string.format('%.0f %s %s', today, limit, ARGV[15])
    turned = redis.call('HINCRBY', KEYS[6], field, 1) == 1 or turned
  end
  if not turned then return end
  local ended = {}
  for _, field in ipairs(redis.call('HKEYS', KEYS[6])) do
    if tonumber(string.match(field, '^%d+')) <= today - SHADOW_DAYS then ended[#ended + 1] = field end
  end
  if #ended > 0 then redis.call('HDEL', KEYS[6], unpack(ended)) end
  redis.call('PEXPIRE', KEYS[6], SHADOW_DAYS * 86400000)
end

local key_full, key_fields, key_texts, key_tallies, key_turned = false, {}, {}, {}, false

local function finish(status, admitted_ms, in_flight, full, verdicts, minutes, fields, texts)
  local reply = {status, now, admitted_ms, cap, in_flight, full and 1 or 0, verdicts, minutes and 1 or 0, '', '',
    key_full and 1 or 0, budget_start, balance_verdict,
    balance and string.format('%d %d', balance, balance_held) or ''}
  return tell(tell(reply, fields, texts), key_fields, key_texts, 'k')
end

local in_flight = redis.call('HLEN', KEYS[2])
local known = in_flight > 0 and redis.call('HGET', KEYS[2], id)
if known then
  local reserved = reservation_of(known)
  cap = reserved.cap
  local fields = fields_of(indexes(reserved.admitted_ms), reserved.tracks_minutes)
  local texts = redis.call('HMGET', windows, unpack(fields))
  local verdicts = string.rep('0', (#ARGV - FIRST_LIMIT + 1) / 4)
  budget_start = reserved.budget_start
  if with_key then
    key_fields = key_fields_of(reserved.admitted_ms, budget_start)
    key_texts = redis.call('HMGET', KEYS[11], unpack(key_fields))
  end
  return finish('admitted', reserved.admitted_ms, in_flight, false, verdicts,
    reserved.tracks_minutes, fields, texts)
end

local index = indexes(now)
local fields = fields_of(index, tracks_minutes)
local tallies, texts, turned = read_windows(windows, fields)
local tally_of = {}
for position, field in ipairs(fields) do tally_of[sub(field, 1, 1)] = tallies[position] end
if with_key then
  key_fields = key_fields_of(now, budget_start)
  key_tallies, key_texts, key_turned = read_windows(KEYS[11], key_fields)
  for position, field in ipairs(key_fields) do tally_of['k' .. sub(field, 1, 1)] = key_tallies[position] end
  -- Requests with this key in flight are those held in the window of its whole life.
  key_full = key_concurrent >= 0 and tally_of.kt[COUNT + 1] >= key_concurrent
end

local full = concurrent >= 0 and in_flight >= concurrent

-- What all limits say to a prompt of this size, and what is left of those that are enforced: now, and when requests in
-- flight have given back what they hold.
local later = COUNT > 3 and numbers_of(ARGV[29], COUNT - 3) or {}
local function judged(prompt_tokens)
  local needs = {1, prompt_tokens + choices * least, cost(choices * least, prompt_tokens), unpack(later)}
  local said = {refused = full and enforce_concurrent or key_full, verdicts = '', shadow = {}, by = {}, balance = '0',
    room = {0, math.huge, math.huge}, left = {0, math.huge, math.huge}}
  if full then append(enforce_concurrent and said.by or said.shadow, 'c') end
  if key_full then append(said.by, 'kc') end
  for position = FIRST_LIMIT, #ARGV, 4 do
    local place, tally = ARGV[position] + 0, tally_of[ARGV[position + 1]]
    local metric, need, enforced, verdict = METRICS[place], needs[place], ARGV[position + 3] == '1', '0'
    local left = ARGV[position + 2] - tally[place]
    local room = left - tally[COUNT + place]
    if need > room and (need > 0 or not metric.may_be_none) then
      -- What is exact will almost surely count, tokens and money are mostly given back: only they are "reserved".
      verdict = need <= left and not metric.is_exact and '2' or '1'
      said.refused = said.refused or enforced
      if enforced and verdict == '1' then said.by[#said.by + 1] = ARGV[position] .. ARGV[position + 1] end
      if not enforced then said.shadow[#said.shadow + 1] = ARGV[position] .. ARGV[position + 1] end
    end
    said.verdicts = said.verdicts .. verdict
    if enforced and not metric.is_exact then
      if room < said.room[place] then said.room[place] = room end
      if left < said.left[place] then said.left[place] = left end
    end
  end
  if balance or is_billed and ARGV[22] == '1' then
    local room = balance and balance - balance_held or -1
    if needs[NANO_USD] > room then
      said.balance = balance and needs[NANO_USD] <= balance and '2' or '1'
      if said.balance == '1' then said.by[#said.by + 1] = 'b' end
      said.refused = true
    end
    said.room[NANO_USD] = math.min(said.room[NANO_USD], room)
    said.left[NANO_USD] = math.min(said.left[NANO_USD], balance or -1)
  end
  return said
end

-- The longest answer that what is left has room for beside the prompt.
local function cap_beside(room)
  local longest = cap
  if room[TOKENS] < math.huge then
    longest = math.min(longest, math.floor((room[TOKENS] - prompt) / choices))
  end
  if room[NANO_USD] < math.huge and output_pico > 0 then
    -- Beyond 9,000 dollars a request's cost in pico-dollars would no longer be exact.
    local room_pico = (math.min(room[NANO_USD], 9e12) - request_nano) * 1000 - prompt * input_pico
    longest = math.min(longest, math.floor(room_pico / (choices * output_pico)))
  end
  return math.max(least, longest)
end

local said = judged(prompt)
local longest = cap_beside(said.room)
if ARGV[28] ~= '' and (said.refused or longest < cap or #said.shadow > 0) then
  -- The prompt may be smaller than that. What is certain is refused; what is not is counted first.
  local certain = judged(tonumber(ARGV[28]))
  if not certain.refused and (said.refused or longest < cap or #said.shadow > #certain.shadow) then
    local most = said.left[TOKENS] - choices * least
    if said.left[NANO_USD] < math.huge and input_pico > 0 then
      local left_pico = (math.min(said.left[NANO_USD], 9e12) - request_nano) * 1000 - choices * least * output_pico
      most = math.min(most, math.floor(left_pico / input_pico))
    end
    cap = most < math.huge and math.max(0, most) or -1
    return finish('count', 0, in_flight, full, '', tracks_minutes, fields, texts)
  end
  if certain.refused then said = certain end
end
balance_verdict = said.balance

if said.refused then
  if #said.by > 0 and ARGV[23] ~= '-' then
    said.by[#said.by + 1] = '*'
    -- A server out of memory refuses this write, but not the refusal.
    pcall(note_person, KEYS[10], subject, index.d, ARGV[23], said.by)
  end
  return finish('refused', 0, in_flight, full, said.verdicts, tracks_minutes, fields, texts)
end
if #said.shadow > 0 and ARGV[15] ~= '' then
  said.shadow[#said.shadow + 1] = '*'
  count_shadow(said.shadow)
end
cap = longest

local held_tokens, held_nano = math.min(prompt + choices * cap, MOST), math.min(cost(choices * cap), MOST)
local held = {1, held_tokens, held_nano, unpack(later)}
texts = write_windows(windows, fields, tallies, NOTHING, held)
if with_key then key_texts = write_windows(KEYS[11], key_fields, key_tallies, NOTHING, held) end
if balance then
  balance_held = math.min(balance_held + held_nano, MOST)
  redis.call('HSET', KEYS[9], 'held', string.format('%d', balance_held))
end
if turned then
  if not has_end then keep_windows(windows, now) end
  -- Some window is new, so others may have ended.
  local ended = ended_of(windows, one_before(index))
  if #ended > 0 then redis.call('HDEL', windows, unpack(ended)) end
end
if key_turned then
  -- As above. A budget period that has ended stays for a day, so that what was in flight at its end is charged to it.
  local ended = ended_of(KEYS[11], {m = index.m - 1, b = now - tonumber(ARGV[20]) - 86400000})
  if #ended > 0 then redis.call('HDEL', KEYS[11], unpack(ended)) end
end
local if_swept = ARGV[27] == '' and cost(0) or tonumber(ARGV[27])
local reservation = format('%d %d %d %d %d %d %d %s %d %s %s %s %s %s', now, tracks_minutes and 1 or 0, prompt, cap,
  held_tokens, held_nano, if_swept, with_key and ARGV[16] or '-', budget_start, ARGV[23], ARGV[24],
  balance and 'h' or is_billed and 'b' or '-', ARGV[26] == '' and string.format('%d', cost(0)) or ARGV[26], ARGV[25])
if ARGV[29] ~= '' then reservation = reservation .. ' ' .. ARGV[29] end
redis.call('HSET', KEYS[2], id, reservation)
redis.call('PEXPIRE', KEYS[2], INDEX_TTL_MS)
redis.call('ZADD', KEYS[3], string.format('%.0f', now + tonumber(ARGV[5])), id .. ' ' .. subject)
redis.call('PEXPIRE', KEYS[3], INDEX_TTL_MS)
return finish('admitted', now, in_flight + 1, full, said.verdicts, tracks_minutes, fields, texts)
