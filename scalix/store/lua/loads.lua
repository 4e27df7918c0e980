-- Says what one worker has to do, for as long as its lease, and what all others have. Nothing is added up that could drift:
-- each worker states all of its figures each time, and those of one that is gone end with its lease.
--
-- KEYS  1 loads (hash: worker -> JSON [end of its lease in ms, {figure's name: number}])
-- ARGV  1 worker  2 lease in ms  3 figure's name  4 its number  5 the next name …
-- Returns {name of a figure: its sum over the other workers, as a whole number}, as a list.

local now, own, sums, found = now_or_server_time(''), {}, {}, {}
for i = 3, #ARGV, 2 do own[ARGV[i]] = tonumber(ARGV[i + 1]) end
local known = redis.call('HGETALL', KEYS[1])
for i = 1, #known, 2 do
  if known[i] ~= ARGV[1] then
    local held, stated = pcall(cjson.decode, known[i + 1])
    if held and stated[1] > now then
      for name, number in pairs(stated[2]) do sums[name] = (sums[name] or 0) + number end
    else
      redis.call('HDEL', KEYS[1], known[i])
    end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({now + ARGV[2], own}))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
for name, sum in pairs(sums) do
  found[#found + 1] = name
  found[#found + 1] = string.format('%d', sum)
end
return found
