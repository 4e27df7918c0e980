-- Takes a lock, renews it, or lets it go.
--
-- KEYS  1 the lock (string)
-- ARGV  1 whose it is  2 for how many ms it is wanted (0: no longer)
-- Returns 1 if the lock is (or was) the caller's, else 0

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
