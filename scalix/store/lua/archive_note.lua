-- Says which day is in a file now, and where.
--
-- KEYS  1 archived days (hash)
-- ARGV  1 "day place"  2 text  3 lifetime of the whole in ms
-- Returns 1

redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
