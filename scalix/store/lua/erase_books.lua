-- Erases a subject from books that are kept by days or months.
--
-- KEYS  any number of the subject's own hashes, and of rankings in which it stands (sorted sets)
-- ARGV  1 subject
-- Returns how many entries there were

local count = 0
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'zset' then
    count = count + redis.call('ZREM', key, ARGV[1])
  elseif kind == 'hash' then
    count = count + redis.call('HLEN', key)
    redis.call('UNLINK', key)
  end
end
return count
