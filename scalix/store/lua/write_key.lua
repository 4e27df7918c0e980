-- Writes a key as a backup has it.
--
-- KEYS  1 the key
-- ARGV  1 type ('none': it is removed)  2 when it ends in ms since 1970 (0: never)  3 whether it begins anew (1|0)
--       4 … a text; fields and texts; members; scores and members; of a stream: id, number of words, words, id …
-- Returns nothing

local AT_ONCE = 1000
local COMMAND = {string = 'SET', hash = 'HSET', set = 'SADD', zset = 'ZADD'}
local key, kind = KEYS[1], ARGV[1]

if ARGV[3] == '1' then redis.call('DEL', key) end
if kind == 'none' then return end
if kind == 'stream' then
  local place = 4
  while place < #ARGV do
    local words = tonumber(ARGV[place + 1])
    redis.call('XADD', key, ARGV[place], unpack(ARGV, place + 2, place + 1 + words))
    place = place + 2 + words
  end
else
  for first = 4, #ARGV, AT_ONCE do
    redis.call(COMMAND[kind], key, unpack(ARGV, first, math.min(first + AT_ONCE - 1, #ARGV)))
  end
end
if ARGV[2] ~= '0' then redis.call('PEXPIREAT', key, ARGV[2]) end
