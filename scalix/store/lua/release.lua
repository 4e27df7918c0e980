-- Gives back a reservation as if it had never been made, or what a sweep has charged in its place. A tombstone keeps an
-- admission that is still on its way from reserving for a caller who has stopped waiting.
--
-- KEYS  1 windows (hash)  2 requests in flight (hash)  3 lease index (sorted set)  4 tombstone (string)
--       5 and 6 the subject's events of today and of yesterday (hash: id -> event)
--       with a virtual key also 7 key's windows (hash)  8 key's record (hash)
-- ARGV  1 request id  2 subject  3 now in ms ('' for the server's time)  4 lifetime of the tombstone in ms
-- Returns 1 if a reservation or a sweep's charge was given back, else 0

local id, subject = ARGV[1], ARGV[2]
local now = now_or_server_time(ARGV[3])
redis.call('SET', KEYS[4], '1', 'PX', ARGV[4])

local reservation = redis.call('HGET', KEYS[2], id)
if reservation then
  local reserved = reservation_of(reservation)
  change_windows(KEYS[1], now, reserved.admitted_ms, reserved.tracks_minutes, NOTHING, given_back(reserved))
  if KEYS[7] and reserved.key_id ~= '' then
    change_key_windows(KEYS[7], KEYS[8], reserved.admitted_ms, reserved.budget_start, NOTHING, given_back(reserved))
  end
  forget(KEYS[2], KEYS[3], id, subject)
  return 1
end

for position = 5, 6 do
  local swept = swept_of(redis.call('HGET', KEYS[position], id))
  if swept then
    change_windows(KEYS[1], now, swept.admitted_ms, swept.tracks_minutes, swept.used, NOTHING)
    if KEYS[7] and swept.key_id ~= '' then
      change_key_windows(KEYS[7], KEYS[8], swept.admitted_ms, swept.budget_start, swept.used, NOTHING)
    end
    redis.call('HDEL', KEYS[position], id)
    return 1
  end
end
return 0
