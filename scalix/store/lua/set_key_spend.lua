-- Sets what a virtual key has spent, in its budget period of now and in its whole life. What requests in flight hold
-- stays, and is charged when they end. What no event explains is kept beside it, as "jt" and "jb" with the period's start.
--
-- KEYS  1 key's windows (hash)  2 key's record (hash)
-- ARGV  1 now in ms ('' for the server's time)  2 start of the budget period in ms (0: none)  3 nano-dollars
-- Returns 1, or 0 when there is no such key

if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
local fields = key_fields_of(now_or_server_time(ARGV[1]), tonumber(ARGV[2]))
local write = {KEYS[1]}
for position = 2, #fields do
  local tally = unpacked(redis.call('HGET', KEYS[1], fields[position]))
  local adjusted = redis.call('HGET', KEYS[1], 'j' .. fields[position])
  append(write, 'j' .. fields[position], string.format('%d', (adjusted or 0) + tonumber(ARGV[3]) - tally[NANO_USD]))
  tally[NANO_USD] = tonumber(ARGV[3])
  append(write, fields[position], packed(tally))
end
redis.call('HSET', unpack(write))
return 1
