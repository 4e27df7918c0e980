-- Charges a request whose lease has lapsed (its worker died) the estimate of its prompt, once.
--
-- KEYS  1 windows (hash)  2 requests in flight (hash)  3 lease index (sorted set)
--       4 the subject's events of the day of admission (hash)
--       with a virtual key also 5 key's windows (hash)  6 key's record (hash)
-- ARGV  1 request id  2 subject  3 now in ms ('' for the server's time)  4 lifetime of the event in ms
--       5 admitted in ms, from which KEYS[4] was named (0: no reservation was seen)
--       6 key id, from which KEYS[5] and KEYS[6] were named ('' for none)
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
if reserved.admitted_ms ~= tonumber(ARGV[5]) or reserved.key_id ~= ARGV[6] then return 0 end

local function change_keys(used)
  if reserved.key_id == '' then return end
  change_key_windows(KEYS[5], KEYS[6], reserved.admitted_ms, reserved.budget_start, used, given_back(reserved))
end

if redis.call('HEXISTS', KEYS[4], id) == 1 then
  -- Its admission was written after its settlement, which came through the journal.
  change_windows(KEYS[1], now, reserved.admitted_ms, reserved.tracks_minutes, NOTHING, given_back(reserved))
  change_keys(NOTHING)
  forget(KEYS[2], KEYS[3], id, subject)
  return 0
end
local charged = {1, reserved.prompt_tokens, reserved.prompt_nano_usd}
change_windows(KEYS[1], now, reserved.admitted_ms, reserved.tracks_minutes, charged, given_back(reserved))
change_keys(charged)
local marks = string.format('1 %.0f %d', reserved.admitted_ms, reserved.tracks_minutes and 1 or 0)
if reserved.key_id ~= '' then
  marks = marks .. ' ' .. reserved.key_id .. ' ' .. string.format('%d', reserved.budget_start)
end
write_event(KEYS[4], id, 'swept', '1', string.format('%.0f', reserved.prompt_tokens),
  string.format('%.0f', reserved.prompt_nano_usd), marks, ARGV[4])
forget(KEYS[2], KEYS[3], id, subject)
return 1
