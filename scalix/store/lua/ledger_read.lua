-- Reads all that is kept of one subject and day at one moment: a settlement writes it in one step too.
--
-- KEYS  1 the subject's events of the day (hash)  2 windows (hash)  3 summaries of the month (hash)
--       4 what was added to windows without an event (hash)
--       5 windows under the pseudonym (hash), which are used instead of 2 once a user was erased and has come back
--       6 who was there (hash)
-- ARGV  1 the subject
-- Returns {now in ms, 1 if 5 is there, what 6 says of the subject, events, windows, summaries, adjustments}, each of these
-- {field, text, field, text, …}

return {
  now_or_server_time(''), redis.call('EXISTS', KEYS[5]),
  redis.call('HGET', KEYS[6], ARGV[1]) or '', redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]),
  redis.call('HGETALL', KEYS[3]), redis.call('HGETALL', KEYS[4]),
}
