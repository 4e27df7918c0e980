-- Charges a request what it used, gives back what it had reserved, and writes its event and the sums, all once.
-- A settlement that comes after a sweep replaces the sweep's charge; one that comes after a settlement does nothing.
--
-- KEYS  1 windows (hash)  2 requests in flight (hash)  3 lease index (sorted set)  4 erasure of the subject (string)
--       5 windows under the pseudonym (hash)  6 tombstone (string)  7 balance (hash)
--       8 to 17 books of the day of admission: see ledger.lua
--       with a virtual key also 18 key's windows (hash)  19 key's record (hash)
-- ARGV  1 request id  2 subject  3 now in ms ('' for the server's time)  4 tracks minutes (1|0)
--       5 start of the key's budget period in ms (0: none)
--       6 days that events, 7 sums by hour, 8 sums by day are kept  9 event
--       of which also 10 admitted in ms  11 charge and 12 cost in nano-dollars
--       13 "model provider tier outcome error"  14 "model tier key"  15 its figures as sums
--       16 the bucket of its first byte, and r if it was rescued, such as "34" or "n r"
--       then one for each metric: what is charged of it
-- Returns {status, balance ("nano held", '' where it was not touched), field, text, field, text, …} with status
-- 'settled' | 'replaced' | 'duplicate'; the key's fields have a k before them

local id, subject = ARGV[1], ARGV[2]
local now = now_or_server_time(ARGV[3])
local tracks_minutes, budget_start = ARGV[4] == '1', tonumber(ARGV[5])
local events_days, hours_days, days_days = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local admitted_ms = tonumber(ARGV[10])
local charged, charge = {}, {}
for place = 1, COUNT do
  charged[place] = ARGV[16 + place] + 0
  charge[place] = charged[place]
end
local held, status = NOTHING, 'settled'
local balance, balance_held = -tonumber(ARGV[11]), 0
local addition = {
  admitted_ms = admitted_ms, tokens = charged[TOKENS], cost = tonumber(ARGV[12]), everybodys = ARGV[13], own = ARGV[14],
  sums = ARGV[15], first_byte = match(ARGV[16], '^%S+'), is_rescued = sub(ARGV[16], -1) == 'r',
}
local key_changes = {}

local windows, has_end, is_before = windows_of(KEYS[1], KEYS[4], KEYS[5], admitted_ms)
local event
if is_before then
  event = redis.call('GET', KEYS[6])
  -- Released before it was admitted, and then let through by a gateway without store.
  if event == '1' then event = nil end
else
  event = redis.call('HGET', KEYS[8], id)
end

local replaced
if event then
  if not is_swept(event) then
    local fields = fields_of(indexes(admitted_ms), tracks_minutes)
    local texts = windows and redis.call('HMGET', windows, unpack(fields)) or {}
    return tell({'duplicate', ''}, fields, texts)
  end
  local words = words_of(event)
  local swept = swept_of(words)
  status, replaced = 'replaced', addition_of(words)
  balance = balance + swept.balance
  if swept.key_id ~= '' then
    key_changes[#key_changes + 1] = {swept.admitted_ms, swept.budget_start, swept.used, NOTHING}
  end
  if swept.admitted_ms == admitted_ms and swept.tracks_minutes == tracks_minutes then
    for position, amount in ipairs(swept.used) do charge[position] = charge[position] + amount end
  else
    change_windows(windows, now, swept.admitted_ms, swept.tracks_minutes, swept.used, NOTHING, has_end)
  end
end

local reservation = redis.call('HGET', KEYS[2], id)
local reserved = reservation and reservation_of(reservation)
if reserved then
  balance_held = -reserved.balance_held
  if reserved.key_id ~= '' then
    key_changes[#key_changes + 1] = {reserved.admitted_ms, reserved.budget_start, NOTHING, reserved.given_back}
  end
  if reserved.admitted_ms == admitted_ms and reserved.tracks_minutes == tracks_minutes then
    held = reserved.given_back
  else
    -- The receipt was written by a gateway that had not heard of this reservation, by its own clock.
    change_windows(windows, now, reserved.admitted_ms, reserved.tracks_minutes, NOTHING, reserved.given_back, has_end)
  end
end

local fields, texts = change_windows(windows, now, admitted_ms, tracks_minutes, charge, held, has_end)
write_event(8, KEYS[6], id, subject, ARGV[9], admitted_ms, now, events_days, is_before)
local key_fields, key_texts = {}, {}
if KEYS[18] then
  key_changes[#key_changes + 1] = {admitted_ms, budget_start, charged, NOTHING}
  for _, change in ipairs(key_changes) do
    key_fields, key_texts = change_key_windows(KEYS[18], KEYS[19], unpack(change))
  end
end
local left = ''
if balance ~= 0 or balance_held ~= 0 then left = change_balance(KEYS[7], balance, balance_held) end
if replaced then sum_up(8, replaced, subject, -1, now, hours_days, days_days, is_before) end
sum_up(8, addition, subject, 1, now, hours_days, days_days, is_before)
if reserved then forget(KEYS[2], KEYS[3], id, subject) end
return tell(tell({status, left}, fields, texts), key_fields, key_texts, 'k')
