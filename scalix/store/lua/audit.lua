-- Appends entries to the audit log, if the last entry is still the one that they were made to follow; with `keep`, also
-- removes the oldest, in the same step as the entry that says so is added.
--
-- KEYS  1 log (stream; an entry's id is its seq, then -0)
-- ARGV  1 seq of the last entry ('0': there is none)  2 its hash ('' where there is none)
--       3 keep: the least seq to keep ('' keeps all)
--       then five for each entry: seq, text, prev, hash, mac
-- Returns 1, or 0 when another entry is the last now

local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local seq, hash = '0', ''
if last then
  seq = string.match(last[1], '^%d+')
  for position = 1, #last[2], 2 do
    if last[2][position] == 'hash' then hash = last[2][position + 1] end
  end
end
if seq ~= ARGV[1] or hash ~= ARGV[2] then return 0 end
for position = 4, #ARGV, 5 do
  redis.call('XADD', KEYS[1], ARGV[position] .. '-0', 'text', ARGV[position + 1], 'prev', ARGV[position + 2],
    'hash', ARGV[position + 3], 'mac', ARGV[position + 4])
end
if ARGV[3] ~= '' then redis.call('XTRIM', KEYS[1], 'MINID', ARGV[3] .. '-0') end
return 1
