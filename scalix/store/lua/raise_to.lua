-- Raises a subject's settled use to the given amounts where they are more, once for each subject. A window that has
-- ended since the amounts were read is left out.
--
-- KEYS  1 windows (hash)  2 marker (string; there when it was done)  3 erasure of the subject (string)
--       4 windows under the pseudonym (hash)  5 adjustments (hash: window -> differences): what no event explains
-- ARGV  1 now in ms ('' for the server's time)  2 lifetime of the marker in ms
--       then two for each window: field, amounts of all metrics as a text
-- Returns 1, or 0 when it was done before

if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local now = now_or_server_time(ARGV[1])
local windows, has_end = windows_of(KEYS[1], KEYS[3], KEYS[4], now)
windows = windows or KEYS[1]
local current, write, changes = {}, {windows}, {}
for _, field in ipairs(fields_of(indexes(now), true)) do current[field] = true end
for position = 3, #ARGV, 2 do
  local field = ARGV[position]
  if current[field] then
    local tally, least = unpacked(redis.call('HGET', windows, field)), numbers_of(ARGV[position + 1], COUNT)
    changes[field] = {}
    for place = 1, COUNT do
      local raised = math.max(tally[place], least[place])
      changes[field][place] = raised - tally[place]
      tally[place] = raised
    end
    append(write, field, packed(tally))
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
