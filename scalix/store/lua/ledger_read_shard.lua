-- Reads everybody's sums of one shard and day, and, if asked, the events that they must be made of, at one moment.
--
-- KEYS  1 sums by hour (hash)  2 sums by day (hash)  3 ranking by tokens (sorted set)  4 ranking by cost (sorted set)
--       5 first bytes (hash)  6 who was there (hash)  7 the events in time (sorted set)
--       then the events of the day (hash) of any number of subjects
-- Returns {sums by hour, sums by day, ranking, ranking, first bytes, people, events in time, events, events, …}, each {field, text, …}

local reply = {
  redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]),
  redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES'), redis.call('ZRANGE', KEYS[4], 0, -1, 'WITHSCORES'),
  redis.call('HGETALL', KEYS[5]), redis.call('HGETALL', KEYS[6]), redis.call('ZRANGE', KEYS[7], 0, -1, 'WITHSCORES'),
}
for position = 8, #KEYS do reply[position] = redis.call('HGETALL', KEYS[position]) end
return reply
