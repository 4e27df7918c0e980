-- Gives out the health checks that are due, each to one worker: for as long as its lease nobody else gets it.
--
-- KEYS  1 checks (hash: deployment -> "when the next is due in ms, until when it is taken in ms, failed checks in a row,
--       time of the last in ms (0: none), what it found")
-- ARGV  1 time in ms ('': the server's)  2 how many at most  3 deployment  4 its lease in ms  5 how long after its last check
--       in ms it is due at the latest  6 how soon in ms if it never was  7 the next deployment …
-- Returns the deployments that are taken.

local now, taken = now_or_server_time(ARGV[1]), {}
for i = 3, #ARGV, 4 do
  local name = ARGV[i]
  local due, until_ms, rest = match(redis.call('HGET', KEYS[1], name) or '', '^(%d+) (%d+) (%d+ %d+ .*)$')
  if not due then
    due, until_ms, rest = now + ARGV[i + 3], 0, '0 0 '
    redis.call('HSET', KEYS[1], name, format('%d 0 %s', due, rest))
  end
  local at = tonumber(match(rest, '^%d+ (%d+)'))
  local is_due = tonumber(due) <= now or (at > 0 and at + ARGV[i + 2] <= now)
  if is_due and tonumber(until_ms) <= now and #taken < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[1], name, format('%d %d %s', due, now + ARGV[i + 1], rest))
    taken[#taken + 1] = name
  end
end
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], 3600000) end
return taken
