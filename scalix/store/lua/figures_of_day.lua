-- What the report of today reads of one shard, at one moment.
--
-- KEYS  1 who was there (hash)
--       where a day is to be added up also 2 everybody's sums of it, or of its month (hash)  3 its first bytes (hash)
--       4 its ranking by cost (sorted set)
-- ARGV  1 what the fields of the sums begin with ('' for all of them)  2 how many of the ranking
--       then the days of which numbers are wanted
-- Returns {numbers of each day, fields of the sums and texts in turn, first bytes in the same way,
-- subjects of the ranking and scores in turn, what is known of these subjects}

local days, prefix = {}, ARGV[1]
for position = 3, #ARGV do days[position - 2] = ARGV[position] end
local numbers = #days > 0 and redis.call('HMGET', KEYS[1], unpack(days)) or {}
if not KEYS[2] then return {numbers} end

local sums = redis.call('HGETALL', KEYS[2])
if prefix ~= '' then
  local of_month = sums
  sums = {}
  for place = 1, #of_month, 2 do
    if sub(of_month[place], 1, #prefix) == prefix then append(sums, of_month[place], of_month[place + 1]) end
  end
end
local ranking, subjects = redis.call('ZRANGE', KEYS[4], 0, ARGV[2] - 1, 'REV', 'WITHSCORES'), {}
for place = 1, #ranking, 2 do subjects[#subjects + 1] = ranking[place] end
local people = #subjects > 0 and redis.call('HMGET', KEYS[1], unpack(subjects)) or {}
return {numbers, sums, redis.call('HGETALL', KEYS[3]), ranking, people}
