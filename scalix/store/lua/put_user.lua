-- Writes a user's record with a version that no earlier record of this name had, if nobody has written it meanwhile.
--
-- KEYS  1 user's record (hash)  2 names of the shard's users (sorted set)
-- ARGV  1 now in ms ('' for the server's time)  2 version that it must have now ('0': there is none)
--       3 user's name, then field, value, …
-- Returns the new version, or '' when it has another version than that

local before = redis.call('HGET', KEYS[1], 'version')
if (before or '0') ~= ARGV[2] then return '' end
local now = now_or_server_time(ARGV[1])
local time = redis.call('TIME')
local version = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
if before and tonumber(before) >= tonumber(version) then version = string.format('%.0f', tonumber(before) + 1) end
local created = redis.call('HGET', KEYS[1], 'created_ms') or string.format('%.0f', now)
-- First: a name without a record is passed over, a record without its name would not be listed.
redis.call('ZADD', KEYS[2], 0, ARGV[3])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'version', version, 'created_ms', created, 'updated_ms', string.format('%.0f', now),
  unpack(ARGV, 4))
return version
