-- Removes a virtual key's record and its windows. Requests in flight with it settle against their user alone.
--
-- KEYS  1 key's record (hash)  2 key's windows (hash)  3 ids of its user's keys (set)
-- ARGV  1 key id
-- Returns 1, or 0 when there was none

redis.call('SREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[2])
return redis.call('DEL', KEYS[1])
