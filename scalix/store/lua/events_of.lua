-- Reads single events of one shard.
--
-- KEYS  for each event, the events of its subject and day (hash)
-- ARGV  for each event, its id
-- Returns the texts; '' for one that is gone

local texts = {}
for position, key in ipairs(KEYS) do texts[position] = redis.call('HGET', key, ARGV[position]) or '' end
return texts
