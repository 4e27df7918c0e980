-- Charges a request whose lease has lapsed (its worker died) the estimate of its prompt, once.
--
-- KEYS  1 windows (hash)  2 requests in flight (hash)  3 lease index (sorted set)
--       4 the subject's events of the day of admission (hash)
-- ARGV  1 request id  2 subject  3 now in ms ('' for the server's time)  4 lifetime of the event in ms
--       5 admitted in ms, from which KEYS[4] was named (0: no reservation was seen)
-- Returns 1 if it was charged; 0 if the lease has been renewed, or the request has ended meanwhile

local id, subject = ARGV[1], ARGV[2]
local now = now_or_server_time(ARGV[3])
local lapses = redis.call('ZSCORE', KEYS[3], id .. ' ' .. subject)
if not lapses or tonumber(lapses) > now then return 0 end

local reservation = redis.call('HGET', KEYS[2], id)
if not reservation then
  redis.call('ZREM', KEYS[3], id .. ' ' .. subject)
  return 0
end
local reserved = reservation_of(reservation)
if reserved.admitted_ms ~= tonumber(ARGV[5]) then return 0 end
if redis.call('HEXISTS', KEYS[4], id) == 1 then
  -- Its admission was written after its settlement, which came through the journal.
  change_windows(KEYS[1], now, reserved.admitted_ms, reserved.tracks_minutes, NOTHING, given_back(reserved))
  forget(KEYS[2], KEYS[3], id, subject)
  return 0
end
change_windows(KEYS[1], now, reserved.admitted_ms, reserved.tracks_minutes,
  {1, reserved.prompt_tokens, reserved.prompt_nano_usd}, given_back(reserved))
write_event(KEYS[4], id, 'swept', '1', string.format('%.0f', reserved.prompt_tokens),
  string.format('%.0f', reserved.prompt_nano_usd),
  string.format('1 %.0f %d', reserved.admitted_ms, reserved.tracks_minutes and 1 or 0), ARGV[4])
forget(KEYS[2], KEYS[3], id, subject)
return 1
