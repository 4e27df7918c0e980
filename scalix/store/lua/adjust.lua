-- Loaded after windows.lua, before reset, raise_to and delete_user: what they add to windows, or take.

-- Notes what was added to windows, or taken, by something else than a request: field -> three differences. Kept as long
-- as the windows are, with those that have ended taken out.
local function adjust(key, now, changes)
  local write = {key}
  for field, change in pairs(changes) do
    if change[1] ~= 0 or change[2] ~= 0 or change[3] ~= 0 then
      local a, b, c = match(redis.call('HGET', key, field) or '0 0 0', '^(%-?%d+) (%-?%d+) (%-?%d+)$')
      write[#write + 1] = field
      write[#write + 1] = format('%d %d %d', a + change[1], b + change[2], c + change[3])
    end
  end
  if #write == 1 then return end
  redis.call('HSET', unpack(write))
  keep_windows(key, now)
  local ended = ended_of(key, one_before(indexes(now)))
  if #ended > 0 then redis.call('HDEL', key, unpack(ended)) end
end
