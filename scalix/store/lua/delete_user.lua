-- Removes a user's record and counters, and notes what the counters have lost, which no event explains.
--
-- KEYS  1 user's record (hash)  2 names of the shard's users (sorted set)  3 windows (hash)  4 requests in flight (hash)
--       5 marker of a merge (string)  6 adjustments (hash: window -> differences)  7 balance (hash), which stays
-- ARGV  1 now in ms ('' for the server's time)  2 user's name
-- Returns 1, or 0 when there was no record

local now = now_or_server_time(ARGV[1])
local changes = {}
local pairs_of = redis.call('HGETALL', KEYS[3])
for position = 1, #pairs_of, 2 do
  local tally, change = unpacked(pairs_of[position + 1]), {}
  for place = 1, COUNT do change[place] = -tally[place] end
  changes[pairs_of[position]] = change
end
-- First: a server out of memory refuses this write, and takes the deletions.
adjust(KEYS[6], now, changes)
-- Nothing will give back what the requests in flight hold of it.
if redis.call('HEXISTS', KEYS[7], 'held') == 1 then redis.call('HSET', KEYS[7], 'held', '0') end
local removed = redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
-- Together: a settlement that still comes finds no reservation to take from somebody else's.
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5])
return removed
