-- Whose request it is that has an id.
--
-- KEYS  events of some days of one shard in time (sorted sets)
-- ARGV  1 id  2 ms of the earliest and 3 of the latest that it may be
-- Returns the subject, '' if it is not there

local start = ARGV[1] .. ' '
for _, key in ipairs(KEYS) do
  for _, member in ipairs(redis.call('ZRANGE', key, ARGV[2], ARGV[3], 'BYSCORE')) do
    if sub(member, 1, #start) == start then return sub(member, #start + 1) end
  end
end
return ''
