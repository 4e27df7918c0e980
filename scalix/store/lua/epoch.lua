-- Says which epoch the store is in: a random text that is lost with everything else in it.
--
-- KEYS  1 epoch (string)
-- ARGV  1 text to write where there is none  2 lifetime in ms  3 whether to write in any case (1|0)
-- Returns the epoch. Writing shows that the server takes writes, so it is done to find out.

local epoch = redis.call('GET', KEYS[1])
if ARGV[3] == '1' or not epoch or redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) / 2 then
  redis.call('SET', KEYS[1], epoch or ARGV[1], 'PX', ARGV[2])
end
return epoch or ARGV[1]
