-- Counts a failed request of a model, and says whether there have been enough in a row from more than one subject.
--
-- KEYS  1 failures (hash: model -> "time in ms, subject's digest, time, digest, …", oldest first)
-- ARGV  1 model  2 subject's digest  3 within how many ms  4 how many are enough
-- Returns 1 if there are enough, which are forgotten then; else 0.

local now = now_or_server_time('')
local within, enough = tonumber(ARGV[3]), tonumber(ARGV[4])
local kept, others = {}, false
for at, whose in string.gmatch(redis.call('HGET', KEYS[1], ARGV[1]) or '', '(%d+) (%S+)') do
  if tonumber(at) >= now - within then kept[#kept + 1] = at .. ' ' .. whose end
end
kept[#kept + 1] = string.format('%d %s', now, ARGV[2])
-- Of one subject's many the last ones say enough, and leave room for another's.
while #kept > enough do table.remove(kept, 1) end
for _, failure in ipairs(kept) do
  others = others or string.match(failure, ' (%S+)$') ~= ARGV[2]
end
if #kept >= enough and others then
  redis.call('HDEL', KEYS[1], ARGV[1])
  return 1
end
redis.call('HSET', KEYS[1], ARGV[1], table.concat(kept, ' '))
redis.call('PEXPIRE', KEYS[1], within)
return 0
