-- Who is to remove today what is too old: the first who asks, and only if the clock went on as clocks do. After a leap of
-- more than two days, be it of the clock or of gateways that were down, the day is noted and nothing is removed; the next
-- day may be, if it is the next one.
--
-- KEYS  1 the last day that was claimed (string)
-- ARGV  1 day  2 lifetime in ms
-- Returns 1 if it is the caller's turn, else 0

local last, today = tonumber(redis.call('GET', KEYS[1]) or false), tonumber(ARGV[1])
if last == today then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return (not last or last < today and today - last <= 2) and 1 or 0
