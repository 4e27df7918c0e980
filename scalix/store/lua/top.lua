-- The subjects of one shard that used most on some days.
--
-- KEYS  rankings of the days (sorted sets)
-- ARGV  1 how many
-- Returns {subject, score, …}, the greatest first

local most = tonumber(ARGV[1])
if #KEYS == 1 then return redis.call('ZREVRANGE', KEYS[1], 0, most - 1, 'WITHSCORES') end
local all = redis.call('ZUNION', #KEYS, unpack(KEYS))
local reply = {}
-- Asked again with the scores, which a list of all with them would make twice as long.
for position = #all, math.max(1, #all - most + 1), -1 do
  local score = 0
  for _, key in ipairs(KEYS) do score = score + (redis.call('ZSCORE', key, all[position]) or 0) end
  append(reply, all[position], string.format('%.0f', score))
end
return reply
