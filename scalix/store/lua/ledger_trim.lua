-- Removes events that are in a file now. One that is new or has changed since stays, for the next time.
--
-- KEYS  1 a subject's events of a day (hash)  2 the shard's events of the day in time, 3 the subject's (sorted sets)
-- ARGV  1 subject, then id, text as it is in the file, id, text, …
-- Returns how many were removed

local removed = 0
for position = 2, #ARGV, 2 do
  local id = ARGV[position]
  if redis.call('HGET', KEYS[1], id) == ARGV[position + 1] then
    redis.call('ZREM', KEYS[2], id .. ' ' .. ARGV[1])
    redis.call('ZREM', KEYS[3], id)
    removed = removed + redis.call('HDEL', KEYS[1], id)
  end
end
return removed
