-- Sets the settled use of some metrics in some windows of now to zero. What requests in flight hold stays, and is charged
-- to these windows when they end. A window without use is left alone, so nothing is created here.
--
-- KEYS  1 windows (hash)  2 erasure of the subject (string)  3 windows under the pseudonym (hash)
--       4 adjustments (hash: window -> differences): what no event explains
-- ARGV  1 now in ms ('' for the server's time)
--       then two for each: position of the metric in METRICS, letter of the window
-- Returns {now in ms, field, text, field, text, …} with the texts as they were before

local now = now_or_server_time(ARGV[1])
local index = indexes(now)
local windows, has_end = windows_of(KEYS[1], KEYS[2], KEYS[3], now)
if not windows then return {now} end
local changes = {}
local reply, write = {now}, {}
for _, letter in ipairs(LETTERS) do
  local field = letter .. string.format('%.0f', index[letter])
  local text = redis.call('HGET', windows, field)
  if text then
    append(reply, field, text)
    local tally = unpacked(text)
    for argument = 2, #ARGV, 2 do
      local place = tonumber(ARGV[argument])
      if ARGV[argument + 1] == letter and tally[place] ~= 0 then
        changes[field] = changes[field] or {unpack(NOTHING)}
        changes[field][place] = -tally[place]
        tally[place] = 0
      end
    end
    if packed(tally) ~= text then
      append(write, field, packed(tally))
    end
  end
end
if #write > 0 then
  redis.call('HSET', windows, unpack(write))
  if not has_end then adjust(KEYS[4], now, changes) end
end
return reply
