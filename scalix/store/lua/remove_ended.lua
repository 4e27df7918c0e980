-- Removes the windows of subjects who have not been seen for the month before this one. Looked at in the same step: one
-- who comes back meanwhile keeps theirs.
--
-- KEYS  any number of hashes of windows, of one shard
-- ARGV  1 now in ms
-- Returns how many were removed

local last_kept, removed = month_of_day(floor(tonumber(ARGV[1]) / 86400000)) - 1, 0
for _, key in ipairs(KEYS) do
  local newest
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 1) == 'M' then newest = math.max(newest or 0, tonumber(string.sub(field, 2))) end
  end
  if newest and newest < last_kept then removed = removed + redis.call('UNLINK', key) end
end
return removed
