-- Keeps what a health check has found, and forgets those that nobody makes any more.
--
-- KEYS  1 checks: see take_checks.lua
-- ARGV  1 time in ms ('': the server's)  2 deployment  3 whether it failed (1|0)  4 what it found  5 when the next is due, in
--       ms from now  6 the same if it failed and the one before did not  7 for how long in ms what is found is kept
-- Returns {how many checks in a row had failed before, all checks: deployment, value, …}

local now, keep = now_or_server_time(ARGV[1]), tonumber(ARGV[7])
local before = tonumber(match(redis.call('HGET', KEYS[1], ARGV[2]) or '', '^%d+ %d+ (%d+) ') or 0)
local fails = ARGV[3] == '1' and before + 1 or 0
local due = now + (fails == 1 and ARGV[6] or ARGV[5])
redis.call('HSET', KEYS[1], ARGV[2], format('%d 0 %d %d %s', due, fails, now, ARGV[4]))
local found = redis.call('HGETALL', KEYS[1])
for i = 1, #found, 2 do
  if tonumber(match(found[i + 1], '^%d+') or 0) + keep < now then redis.call('HDEL', KEYS[1], found[i]) end
end
redis.call('PEXPIRE', KEYS[1], keep)
return {before, found}
