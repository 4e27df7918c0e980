-- Adds one batch of a worker's figures to those of a day, once: a worker sends its next batch when this one was taken.
--
-- KEYS  1 figures of a day (hash: name -> number)  2 the worker's last batch (string: its number)
-- ARGV  1 number of the batch  2 lifetime of the figures in ms  3 lifetime of the number in ms
--       then two for each figure: its name, what is added
-- Returns 1, or 0 where the batch was taken before

if redis.call('GET', KEYS[2]) == ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
for position = 4, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[position], ARGV[position + 1]) end
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
