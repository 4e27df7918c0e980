-- Forgets a subject's pseudonyms, if there are as many as the caller has seen.
--
-- KEYS  1 pseudonyms (hash)
-- ARGV  1 how many
-- Returns 1, or 0 when there are others now

if redis.call('HLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
return 1
