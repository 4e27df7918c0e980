-- Extends the leases of requests that are still in flight. Never brings one back that has ended.
--
-- KEYS  1 lease index (sorted set: "id subject" by end in ms)
-- ARGV  1 now in ms ('' for the server's time)  2 lease in ms  then the members, "id subject" each
-- Returns nothing

local ends = string.format('%.0f', now_or_server_time(ARGV[1]) + tonumber(ARGV[2]))
for position = 3, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', ends, ARGV[position])
end
