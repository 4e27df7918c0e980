-- Reads keys of any type at one moment, for a backup.
--
-- KEYS  the keys, of one shard where they are several
-- ARGV  1 most entries of a key that are read (0: all)
-- Returns {type ('none' where there is no key), when it ends in ms since 1970 (0: never), value (nothing where it has more
--          entries): a text; fields and texts; members; members and scores; ids and their fields}, for each key

local SIZE = {hash = 'HLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN'}
local most, now = tonumber(ARGV[1]), now_or_server_time('')

local function value_of(key, kind)
  if kind == 'string' then return redis.call('GET', key) end
  if most > 0 and redis.call(SIZE[kind], key) > most then return false end
  if kind == 'hash' then return redis.call('HGETALL', key) end
  if kind == 'set' then return redis.call('SMEMBERS', key) end
  if kind == 'zset' then return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end
  return redis.call('XRANGE', key, '-', '+')
end

local reply = {}
for place, key in ipairs(KEYS) do
  local kind, left = redis.call('TYPE', key).ok, redis.call('PTTL', key)
  local value = false
  if kind ~= 'none' then value = value_of(key, kind) end
  reply[place] = {kind, left >= 0 and now + left or 0, value}
end
return reply
