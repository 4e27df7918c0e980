-- Takes out of a shard who has not been there for long, and how many there were on days of before: see people.lua.
--
-- KEYS  1 who was there (hash)
-- ARGV  1 the first day that is kept
-- Returns how many entries were removed

local first, ended = tonumber(ARGV[1]), {}
local fields = redis.call('HGETALL', KEYS[1])
for place = 1, #fields, 2 do
  local day = tonumber(fields[place]) or tonumber(match(fields[place + 1], '^%d+'))
  if day and day < first then ended[#ended + 1] = fields[place] end
end
for place = 1, #ended, 1000 do redis.call('HDEL', KEYS[1], unpack(ended, place, math.min(place + 999, #ended))) end
return #ended
