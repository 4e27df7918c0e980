-- Writes what is right of a subject, and corrects the numbers of the days that change by it, if it still is as it was read.
-- Without a subject, only corrects the numbers.
--
-- KEYS  1 who was there (hash): see people.lua
-- ARGV  1 subject ('' for none)  2 text as read ('' for none)  3 text to write ('' for none)
--       then three for each number: day, name, what to add
-- Returns 1, or 0 when the subject has changed and nothing was written

if ARGV[1] ~= '' then
  if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
  if ARGV[3] == '' then
    redis.call('HDEL', KEYS[1], ARGV[1])
  else
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  end
end
local changes = {}
for place = 4, #ARGV, 3 do
  changes[ARGV[place]] = changes[ARGV[place]] or {}
  changes[ARGV[place]][ARGV[place + 1]] = tonumber(ARGV[place + 2])
end
count_people(KEYS[1], changes)
return 1
