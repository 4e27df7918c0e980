-- Puts events that a gateway of before has written into the indexes by time; one that is gone meanwhile is left out.
--
-- KEYS  1 a subject's events of a day (hash)  2 the shard's events of the day in time, 3 the subject's (sorted sets)
-- ARGV  1 subject  2 how many events of a day are read as a whole  3 lifetime of the indexes in ms  then ids
-- Returns how many were not in the shard's index

local many, added = redis.call('HLEN', KEYS[1]) > tonumber(ARGV[2]), 0
for position = 4, #ARGV do
  local id = ARGV[position]
  local text = redis.call('HGET', KEYS[1], id)
  local at_ms = text and match(text, '^%S+ %S+ %S+ %S+ %S+ (%d+) ')
  if at_ms then
    added = added + redis.call('ZADD', KEYS[2], at_ms, id .. ' ' .. ARGV[1])
    if many then redis.call('ZADD', KEYS[3], at_ms, id) end
  end
end
for position = 2, 3 do
  if redis.call('PTTL', KEYS[position]) == -1 then redis.call('PEXPIRE', KEYS[position], ARGV[3]) end
end
return added
