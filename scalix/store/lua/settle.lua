-- Charges a request what it used, gives back what it had reserved, and writes its event, all once.
-- A settlement that comes after a sweep replaces the sweep's charge; one that comes after a settlement does nothing.
--
-- KEYS  1 windows (hash)  2 requests in flight (hash)  3 lease index (sorted set)
--       4 the subject's events of the day of admission (hash: id -> event)
--       with a virtual key also 5 key's windows (hash)  6 key's record (hash)
-- ARGV  1 request id  2 subject  3 now in ms ('' for the server's time)  4 admitted in ms  5 tracks minutes (1|0)
--       6 requests  7 tokens  8 nano-dollars to charge  9 outcome  10 estimated (1|0)  11 lifetime of the event in ms
--       12 key id ('' for none)  13 start of the key's budget period in ms (0: none)
-- Returns {status, field, text, field, text, …} with status 'settled' | 'replaced' | 'duplicate'

local id, subject = ARGV[1], ARGV[2]
local now = now_or_server_time(ARGV[3])
local admitted_ms, tracks_minutes = tonumber(ARGV[4]), ARGV[5] == '1'
local charge = {tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])}
local held = NOTHING
local status = 'settled'

local key_id, budget_start = ARGV[12], tonumber(ARGV[13])
local key_changes = {}

local event = redis.call('HGET', KEYS[4], id)
if event then
  local swept = swept_of(event)
  if not swept then
    local fields = fields_of(indexes(admitted_ms), tracks_minutes)
    local reply = {'duplicate'}
    for position, text in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do
      reply[#reply + 1] = fields[position]
      reply[#reply + 1] = text or '0 0 0 0 0 0'
    end
    return reply
  end
  status = 'replaced'
  if swept.key_id ~= '' then
    key_changes[#key_changes + 1] = {swept.admitted_ms, swept.budget_start, swept.used, NOTHING}
  end
  if swept.admitted_ms == admitted_ms and swept.tracks_minutes == tracks_minutes then
    for metric = 1, 3 do charge[metric] = charge[metric] + swept.used[metric] end
  else
    change_windows(KEYS[1], now, swept.admitted_ms, swept.tracks_minutes, swept.used, NOTHING)
  end
end

local reservation = redis.call('HGET', KEYS[2], id)
local reserved = reservation and reservation_of(reservation)
if reserved then
  if reserved.key_id ~= '' then
    key_changes[#key_changes + 1] = {reserved.admitted_ms, reserved.budget_start, NOTHING, given_back(reserved)}
  end
  if reserved.admitted_ms == admitted_ms and reserved.tracks_minutes == tracks_minutes then
    held = given_back(reserved)
  else
    -- The receipt was written by a gateway that had not heard of this reservation, by its own clock.
    change_windows(KEYS[1], now, reserved.admitted_ms, reserved.tracks_minutes, NOTHING, given_back(reserved))
  end
end
local reply = change_windows(KEYS[1], now, admitted_ms, tracks_minutes, charge, held)
if key_id ~= '' then
  local charged = {tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])}
  key_changes[#key_changes + 1] = {admitted_ms, budget_start, charged, NOTHING}
  for _, change in ipairs(key_changes) do change_key_windows(KEYS[5], KEYS[6], unpack(change)) end
end
write_event(KEYS[4], id, ARGV[9], ARGV[6], ARGV[7], ARGV[8], ARGV[10], ARGV[11])
if reserved then forget(KEYS[2], KEYS[3], id, subject) end
table.insert(reply, 1, status)
return reply
