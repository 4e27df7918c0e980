-- Says which models are left alone, and forgets those whose time is over.
--
-- KEYS  1 cooldowns: see cool.lua
-- Returns for each: model, what is left in ms, whether its provider has asked for it (1|0).

local found = redis.call('HGETALL', KEYS[1])
local cooling = {}
if #found == 0 then
  return cooling
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #found, 2 do
  local ends, asked = string.match(found[i + 1], '^(%d+) (%d)$')
  local rest = ends and ends - now or 0
  if rest > 0 then
    cooling[#cooling + 1] = found[i]
    cooling[#cooling + 1] = string.format('%d', rest)
    cooling[#cooling + 1] = asked
  else
    redis.call('HDEL', KEYS[1], found[i])
  end
end
return cooling
