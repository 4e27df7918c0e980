-- Says which epoch the store is in: a random text that is lost with everything else in it.
--
-- KEYS  1 epoch (string)
-- ARGV  1 text to write where there is none  2 lifetime in ms  3 whether to write in any case (1|0)
-- Returns the epoch. Writing shows that the server takes writes, so it is done to find out. "asked " before the epoch is a
-- restore's question whether any gateway is there; that it is taken away is the answer.

local epoch = redis.call('GET', KEYS[1])
local asked = epoch and string.match(epoch, '^asked (.*)$')
if asked then epoch = asked ~= '' and asked end
if asked or ARGV[3] == '1' or not epoch or redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) / 2 then
  redis.call('SET', KEYS[1], epoch or ARGV[1], 'PX', ARGV[2])
end
return epoch or ARGV[1]
