-- Says which models rest, and forgets those whose time is over; and of which failures are counted.
--
-- KEYS  1 cooldowns: see cool.lua  2 failures: see count_failure.lua
-- Returns {for each that rests: model, what is left in ms, whether its provider has asked for it (1|0)},
--         {models of which failures are counted}

local found = redis.call('HGETALL', KEYS[1])
local cooling, failing = {}, redis.call('HKEYS', KEYS[2])
if #found == 0 then
  return {cooling, failing}
end
local now = now_or_server_time('')
for i = 1, #found, 2 do
  local ends, asked = string.match(found[i + 1], '^(%d+) (%d)$')
  local rest = ends and ends - now or 0
  if rest > 0 then
    append(cooling, found[i], string.format('%d', rest), asked)
  else
    redis.call('HDEL', KEYS[1], found[i])
  end
end
return {cooling, failing}
