-- Whom a limit has refused on a day, of one shard: see people.lua.
--
-- KEYS  1 who was there (hash)
-- ARGV  1 day  2 limit as scripts name it  3 the subject after which to begin ('' for the first)  4 how many
-- Returns {subject, what is known of them, …} in the order of their names

local word, most = format(' !%d,%s,', ARGV[1], ARGV[2]), tonumber(ARGV[4])
local fields, texts, names = redis.call('HGETALL', KEYS[1]), {}, {}
for place = 1, #fields, 2 do
  local subject, text = fields[place], fields[place + 1]
  if subject > ARGV[3] and string.find(text, word, 1, true) then
    names[#names + 1] = subject
    texts[subject] = text
  end
end
table.sort(names)
local reply = {}
for place = 1, math.min(most, #names) do
  append(reply, names[place], texts[names[place]])
end
return reply
