-- A subject's newest events of a day up to a moment. Of a day of few events, and of one whose index lacks some, all.
--
-- KEYS  1 events of the day (hash)  2 the same in time (sorted set)
-- ARGV  1 how many  2 ms of the newest that is wanted, with all that are of this very ms  3 ms of the oldest
-- Returns {id, text, id, text, …} in no order

local count = redis.call('HLEN', KEYS[1])
if count == 0 or redis.call('ZCARD', KEYS[2]) ~= count then return redis.call('HGETALL', KEYS[1]) end
local most = tonumber(ARGV[1]) + redis.call('ZCOUNT', KEYS[2], ARGV[2], ARGV[2])
local ids = redis.call('ZRANGE', KEYS[2], ARGV[2], ARGV[3], 'BYSCORE', 'REV', 'LIMIT', 0, most)
local found = {}
for _, id in ipairs(ids) do append(found, id, redis.call('HGET', KEYS[1], id) or '') end
return found
