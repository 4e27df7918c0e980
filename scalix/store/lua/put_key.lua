-- Writes a virtual key's record with a version that it has not had before, if nobody has written it meanwhile.
--
-- KEYS  1 key's record (hash)  2 ids of its user's keys (set)
-- ARGV  1 now in ms ('' for the server's time)  2 version that it must have now ('0': there is none)  3 key id
--       4 text of the record
-- Returns the new version, or '' when it has another version than that

local before = redis.call('HGET', KEYS[1], 'version')
if (before or '0') ~= ARGV[2] then return '' end
local now = string.format('%.0f', now_or_server_time(ARGV[1]))
local time = redis.call('TIME')
local version = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
if before and tonumber(before) >= tonumber(version) then version = string.format('%.0f', tonumber(before) + 1) end
redis.call('HSET', KEYS[1], 'version', version, 'updated_ms', now, 'record', ARGV[4])
if not before then
  redis.call('HSET', KEYS[1], 'created_ms', now)
  redis.call('SADD', KEYS[2], ARGV[3])
end
return version
