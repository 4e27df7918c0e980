-- Writes a user's or a virtual key's record with a version that no earlier record of this name had, if nobody has written it
-- meanwhile.
--
-- KEYS  1 record (hash)  2 names of the shard's users (sorted set), or ids of the user's keys (set)
-- ARGV  1 now in ms ('' for the server's time)  2 version that it must have now ('0': there is none)
--       3 name or id  4 'z' for a sorted set, 's' for a set, then field, value, …
-- Returns the new version, or '' when it has another version than that

local before = redis.call('HGET', KEYS[1], 'version')
if (before or '0') ~= ARGV[2] then return '' end
local now = string.format('%.0f', now_or_server_time(ARGV[1]))
local time = redis.call('TIME')
local version = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
if before and tonumber(before) >= tonumber(version) then version = string.format('%.0f', tonumber(before) + 1) end
local created = redis.call('HGET', KEYS[1], 'created_ms') or now
-- First: a name without a record is passed over, a record without its name would not be listed.
if ARGV[4] == 'z' then redis.call('ZADD', KEYS[2], 0, ARGV[3]) else redis.call('SADD', KEYS[2], ARGV[3]) end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'version', version, 'created_ms', created, 'updated_ms', now, unpack(ARGV, 5))
return version
