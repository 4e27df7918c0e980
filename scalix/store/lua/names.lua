-- Gives each of a subject's names its pseudonym in the audit log: the one that it has, else the one that is offered.
--
-- KEYS  1 pseudonyms (hash: name -> pseudonym)  2 mark of an erased subject (string: when, in ms)
-- ARGV  1 lifetime in ms  2 when that happened of which the log is to tell, in ms ('' for now)
--       then two for each name: the name, the pseudonym offered
-- Returns the pseudonyms; nothing for what happened before the subject was erased, which must not be known again

local erased = ARGV[2] ~= '' and redis.call('GET', KEYS[2])
if erased and tonumber(erased) >= tonumber(ARGV[2]) then return {} end
local reply = {}
for position = 3, #ARGV, 2 do
  redis.call('HSETNX', KEYS[1], ARGV[position], ARGV[position + 1])
  reply[#reply + 1] = redis.call('HGET', KEYS[1], ARGV[position])
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return reply
