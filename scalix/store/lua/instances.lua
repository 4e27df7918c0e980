-- States what one gateway is, or what it wants of all, for as long as its lease, and tells what all others have stated.
--
-- KEYS  1 instances (hash: name -> JSON [end of its lease in ms, what was stated])
-- ARGV  1 name  2 lease in ms  3 what it states, a text; empty to take it back
-- Returns {name, what was stated} of each whose lease has not ended, as a list.

local now = now_or_server_time('')
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({now + ARGV[2], ARGV[3]}))
  redis.call('PEXPIRE', KEYS[1], 60000)
end
local known, found = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #known, 2 do
  local held, stated = pcall(cjson.decode, known[i + 1])
  if held and stated[1] > now then
    found[#found + 1] = known[i]
    found[#found + 1] = stated[2]
  else
    redis.call('HDEL', KEYS[1], known[i])
  end
end
return found
