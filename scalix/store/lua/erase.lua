-- Erases what is kept of a subject, but for its books, which are kept by days: see erase_books.lua. Its use in the windows
-- of now stays under a pseudonym until the month ends, so that to be erased is no new quota.
--
-- KEYS  1 windows (hash)  2 requests in flight (hash)  3 lease index (sorted set)  4 user's record (hash)
--       5 names of the shard's users (sorted set)  6 mark of a merge (string)  7 balance (hash)  8 credits (hash)
--       9 erasure (string)  10 windows under the pseudonym (hash)  11 who was there (hash)
--       then what else is to be deleted
-- ARGV  1 subject  2 user's name  3 now in ms ('' for the server's time)  4 lifetime of the mark of the erasure in ms
-- Returns {records, requests in flight, windows, balances, credits} that there were

local now = now_or_server_time(ARGV[3])
local index = indexes(now)
local write = {KEYS[10]}
for _, field in ipairs(fields_of(index, true)) do
  local own, kept = redis.call('HGET', KEYS[1], field), redis.call('HGET', KEYS[10], field)
  if own or kept then
    local tally, more = unpacked(own), unpacked(kept)
    for place = 1, COUNT do
      tally[place] = tally[place] + more[place]
      -- What is in flight is charged when it ends; nothing will give it back.
      tally[COUNT + place] = 0
    end
    append(write, field, packed(tally))
  end
end
-- Before anything is deleted: a server out of memory refuses to write, and a script that has failed can be called again.
if #write > 1 then
  local ends = first_day_of_month(index.M + 1) * 86400000
  redis.call('HSET', unpack(write))
  redis.call('PEXPIRE', KEYS[10], string.format('%.0f', ends - now))
end
redis.call('SET', KEYS[9], string.format('%.0f', now), 'PX', ARGV[4])

local in_flight = redis.call('HKEYS', KEYS[2])
for _, id in ipairs(in_flight) do redis.call('ZREM', KEYS[3], id .. ' ' .. ARGV[1]) end
redis.call('ZREM', KEYS[5], ARGV[2])
redis.call('HDEL', KEYS[11], ARGV[1])
local credits, windows = redis.call('HLEN', KEYS[8]), redis.call('HLEN', KEYS[1])
local reply = {redis.call('DEL', KEYS[4]), #in_flight, windows, redis.call('DEL', KEYS[7]), credits}
redis.call('DEL', KEYS[1], KEYS[2], KEYS[6], KEYS[8])
for position = 12, #KEYS do redis.call('DEL', KEYS[position]) end
return reply
