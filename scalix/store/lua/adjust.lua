-- Loaded after windows.lua, before reset, raise_to and delete_user: what they add to windows, or take.

-- Notes what was added to windows, or taken, by something else than a request: field -> a difference for each metric. Kept
-- as long as the windows are, with those that have ended taken out.
local function adjust(key, now, changes)
  local write = {key}
  for field, change in pairs(changes) do
    local sums, last, is_change = numbers_of(redis.call('HGET', key, field) or '', COUNT), 3, false
    for place, amount in ipairs(change) do
      sums[place] = sums[place] + amount
      is_change = is_change or amount ~= 0
      if sums[place] ~= 0 then last = math.max(last, place) end
    end
    if is_change then
      for place, sum in ipairs(sums) do sums[place] = format('%d', sum) end
      append(write, field, table.concat(sums, ' ', 1, last))
    end
  end
  if #write == 1 then return end
  redis.call('HSET', unpack(write))
  keep_windows(key, now)
  local ended = ended_of(key, one_before(indexes(now)))
  if #ended > 0 then redis.call('HDEL', key, unpack(ended)) end
end
