-- Writes one field of a record in place, with the same meaning: no new version. Only if nobody has written it meanwhile.
--
-- KEYS  1 record (hash)
-- ARGV  1 field  2 its text as it was read  3 its new text
-- Returns 1, or 0 when it has another text than that

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
