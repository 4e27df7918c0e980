-- The newest events of one shard up to a moment, of some days, newest first.
--
-- KEYS  events of the days in time (sorted sets), the newest day first
-- ARGV  1 how many  2 ms of the newest that is wanted, with all that are of this very ms  3 ms of the oldest
-- Returns {"id subject", ms, "id subject", ms, …}

local most, found = tonumber(ARGV[1]), {}
for _, key in ipairs(KEYS) do
  -- Those of the first ms may be among what was read before.
  most = most + redis.call('ZCOUNT', key, ARGV[2], ARGV[2])
  local left = most - #found / 2
  if left <= 0 then break end
  local entries = redis.call('ZRANGE', key, ARGV[2], ARGV[3], 'BYSCORE', 'REV', 'LIMIT', 0, left, 'WITHSCORES')
  for _, word in ipairs(entries) do found[#found + 1] = word end
end
return found
