-- Removes events that are in a file now. One that is new or has changed since stays, for the next time.
--
-- KEYS  1 a subject's events of a day (hash)
-- ARGV  id, text as it is in the file, id, text, …
-- Returns how many were removed

local removed = 0
for position = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[position]) == ARGV[position + 1] then
    removed = removed + redis.call('HDEL', KEYS[1], ARGV[position])
  end
end
return removed
