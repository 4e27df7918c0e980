-- Loaded after windows.lua, before what takes windows out that have ended.

-- Besides the windows of now and those before them, so many of each kind stay that the hash has seen none later than.
-- What the clock says alone takes no window out: one that is ahead for a moment, by however much, would empty the
-- counters of now. By the time that it has begun so many windows more, those of now are over.
local KEPT = 3

-- The fields of a hash of windows to be taken out: of each letter the oldest, as long as there are more than `KEPT`, and
-- only what lies before `first_kept[letter]`.
local function ended_of(key, first_kept)
  local numbers, ended = {}, {}
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local letter = string.sub(field, 1, 1)
    if first_kept[letter] then
      numbers[letter] = numbers[letter] or {}
      table.insert(numbers[letter], tonumber(string.sub(field, 2)))
    end
  end
  for letter, found in pairs(numbers) do
    table.sort(found)
    for position = 1, #found - KEPT do
      if found[position] < first_kept[letter] then ended[#ended + 1] = letter .. string.format('%.0f', found[position]) end
    end
  end
  return ended
end

-- The window before the current one may still be charged what was admitted in it, and after a fail-over the clock may be
-- a little behind.
local function one_before(index)
  return {m = index.m - 1, h = index.h - 1, d = index.d - 1, M = index.M - 1}
end
