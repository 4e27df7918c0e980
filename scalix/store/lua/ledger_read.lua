-- Reads all that is kept of one subject and day at one moment: a settlement writes it in one step too.
--
-- KEYS  1 the subject's events of the day (hash)  2 windows (hash)  3 summaries of the month (hash)
--       4 the events in time (sorted set)  5 what was added to windows without an event (hash)
--       6 windows under the pseudonym (hash), which are used instead of 2 once a user was erased and has come back
--       7 who was there (hash)
-- ARGV  1 the subject
-- Returns {now in ms, 1 if 6 is there, what 7 says of the subject, events, windows, summaries, events in time, adjustments},
-- from the events on each {field, text, field, text, …}

return {
  now_or_server_time(''), redis.call('EXISTS', KEYS[6]),
  redis.call('HGET', KEYS[7], ARGV[1]) or '', redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]),
  redis.call('HGETALL', KEYS[3]), redis.call('ZRANGE', KEYS[4], 0, -1, 'WITHSCORES'), redis.call('HGETALL', KEYS[5]),
}
