-- Adds to a prepaid balance, once for each id.
--
-- KEYS  1 balance (hash: nano, held)  2 credits (hash: id -> "nano-dollars at_ms")
-- ARGV  1 id of the credit  2 nano-dollars (negative: takes from it)  3 now in ms ('' for the server's time)
-- Returns {1 if it was added now, 0 if it was before; nano-dollars; nano-dollars held}

local has, held = balance_of(KEYS[1])
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then
  return {0, string.format('%d', has or 0), string.format('%d', held or 0)}
end
local nano_usd = tonumber(ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], string.format('%d %.0f', nano_usd, now_or_server_time(ARGV[3])))
local after = string.format('%d', (has or 0) + nano_usd)
redis.call('HSET', KEYS[1], 'nano', after, 'held', string.format('%d', held or 0))
return {1, after, string.format('%d', held or 0)}
