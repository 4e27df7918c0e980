-- Gives back a reservation as if it had never been made. When there is none (yet), a tombstone keeps an admission that
-- is still on its way from reserving for a caller who has stopped waiting.
--
-- KEYS  1 windows (hash)  2 requests in flight (hash)  3 lease index (sorted set)  4 tombstone (string)
-- ARGV  1 request id  2 subject  3 now in ms ('' for the server's time)  4 lifetime of the tombstone in ms
-- Returns 1 if a reservation was given back, else 0

local id, subject = ARGV[1], ARGV[2]
local reservation = redis.call('HGET', KEYS[2], id)
if not reservation then
  redis.call('SET', KEYS[4], '1', 'PX', ARGV[4])
  return 0
end
local reserved = reservation_of(reservation)
forget(KEYS[2], KEYS[3], id, subject)
change_windows(KEYS[1], now_or_server_time(ARGV[3]), reserved.admitted_ms, reserved.tracks_minutes, {0, 0, 0},
  {-1, -reserved.tokens, -reserved.nano_usd})
return 1
