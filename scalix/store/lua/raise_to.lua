-- Raises a subject's settled use to the given amounts where they are more, once for each subject. A window that has
-- ended since the amounts were read is left out.
--
-- KEYS  1 windows (hash)  2 marker (string; there when it was done)
-- ARGV  1 now in ms ('' for the server's time)  2 lifetime of the marker in ms
--       then four for each window: field, requests, tokens, nano-dollars
-- Returns 1, or 0 when it was done before

if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local now = now_or_server_time(ARGV[1])
local current, write = {}, {KEYS[1]}
for _, field in ipairs(fields_of(indexes(now), true)) do current[field] = true end
for position = 3, #ARGV, 4 do
  local field = ARGV[position]
  if current[field] then
    local six = unpacked(redis.call('HGET', KEYS[1], field))
    for metric = 1, 3 do six[metric] = math.max(six[metric], tonumber(ARGV[position + metric])) end
    write[#write + 1] = field
    write[#write + 1] = packed(six)
  end
end
-- Use first: were the marker refused for lack of memory, the next try would find the same amounts again.
if #write > 1 then
  redis.call('HSET', unpack(write))
  keep_windows(KEYS[1], now)
end
redis.call('SET', KEYS[2], string.format('%.0f', now), 'PX', ARGV[2])
return 1
