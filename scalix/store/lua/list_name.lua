-- Puts a name among those of a day, as long as there are not too many.
--
-- KEYS  1 names (set)
-- ARGV  1 name  2 how many there may be  3 lifetime in ms
-- Returns {} if it is among them; else all that are, which stay the same from then on

if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return {} end
if redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[2]) then return redis.call('SMEMBERS', KEYS[1]) end
redis.call('SADD', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return {}
