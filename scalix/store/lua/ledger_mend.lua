-- Writes what the events say into counters and sums, all or nothing, if everything is still as it was when it was
-- compared: a settlement since then has changed one of the fields, and the caller compares again.
--
-- KEYS  hashes and sorted sets of one shard; the first of them is the events that were read (hash)
-- ARGV  1 how many events there were ('' for any)
--       for each key from the second on, its lifetime in ms, used where it has none
--       then five for each change: position of the key, its type (h|z), field, text as read ('' for none), text to write
--       ('' for none)
-- Returns 1, or 0 when something has changed and nothing was written

if ARGV[1] ~= '' and redis.call('HLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end

local first = #KEYS + 1
for position = first, #ARGV, 5 do
  local key, found = KEYS[tonumber(ARGV[position])], ARGV[position + 3]
  local text = redis.call(ARGV[position + 1] == 'z' and 'ZSCORE' or 'HGET', key, ARGV[position + 2]) or ''
  local same = text == found
  if ARGV[position + 1] == 'z' then same = same or text ~= '' and tonumber(text) == tonumber(found) end
  if not same then return 0 end
end
for position = first, #ARGV, 5 do
  local key, is_ranking = KEYS[tonumber(ARGV[position])], ARGV[position + 1] == 'z'
  local field, right = ARGV[position + 2], ARGV[position + 4]
  if right == '' then
    redis.call(is_ranking and 'ZREM' or 'HDEL', key, field)
  elseif is_ranking then
    redis.call('ZADD', key, right, field)
  else
    redis.call('HSET', key, field, right)
  end
end
for position = 2, #KEYS do
  if redis.call('PTTL', KEYS[position]) == -1 then redis.call('PEXPIRE', KEYS[position], ARGV[position]) end
end
return 1
