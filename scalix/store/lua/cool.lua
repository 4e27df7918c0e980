-- Leaves a model alone for some time, or no longer. The longer of two cooldowns holds.
--
-- KEYS  1 cooldowns (hash: model -> "end in ms, whether the provider has asked for it (1|0)")
-- ARGV  1 model  2 for how long in ms, 0 to end it  3 whether the provider has asked for it (1|0)
-- Returns 1.

local now = now_or_server_time('')
if ARGV[2] == '0' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  return 1
end
local ends = now + ARGV[2]
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known or tonumber(string.match(known, '^%d+')) < ends then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%d %s', ends, ARGV[3]))
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
end
return 1
