-- Raises a subject's settled use to the given amounts where they are more, once for each subject. A window that has
-- ended since the amounts were read is left out.
--
-- KEYS  1 windows (hash)  2 marker (string; there when it was done)  3 erasure of the subject (string)
--       4 windows under the pseudonym (hash)  5 adjustments (hash: window -> three differences): what no event explains
-- ARGV  1 now in ms ('' for the server's time)  2 lifetime of the marker in ms
--       then four for each window: field, requests, tokens, nano-dollars
-- Returns 1, or 0 when it was done before

if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local now = now_or_server_time(ARGV[1])
local windows, has_end = windows_of(KEYS[1], KEYS[3], KEYS[4], now)
windows = windows or KEYS[1]
local current, write, changes = {}, {windows}, {}
for _, field in ipairs(fields_of(indexes(now), true)) do current[field] = true end
for position = 3, #ARGV, 4 do
  local field = ARGV[position]
  if current[field] then
    local six = unpacked(redis.call('HGET', windows, field))
    changes[field] = {0, 0, 0}
    for metric = 1, 3 do
      local raised = math.max(six[metric], tonumber(ARGV[position + metric]))
      changes[field][metric] = raised - six[metric]
      six[metric] = raised
    end
    write[#write + 1] = field
    write[#write + 1] = packed(six)
  end
end
-- Use first: were the marker refused for lack of memory, the next try would find the same amounts again.
if #write > 1 then
  redis.call('HSET', unpack(write))
  if not has_end then
    keep_windows(windows, now)
    adjust(KEYS[5], now, changes)
  end
end
redis.call('SET', KEYS[2], string.format('%.0f', now), 'PX', ARGV[2])
return 1
