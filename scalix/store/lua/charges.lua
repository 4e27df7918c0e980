-- Loaded after windows.lua, before settle, sweep and release: what changes when a request ends.

-- Adds to the settled part and to the held part of every window that at_ms lies in. Returns the fields and their new texts.
-- Callers do this before any other write: a server out of memory refuses HSET but not HDEL, and a script that has
-- failed must not have taken the reservation away. `has_end`: the hash has the end that it is to have. Without a key
-- there is nothing to change, and no use.
local function change_windows(key, now, at_ms, with_minutes, used, held, has_end)
  local fields = fields_of(indexes(at_ms), with_minutes)
  if not key then return fields, {} end
  local tallies, _, turned = read_windows(key, fields)
  local texts = write_windows(key, fields, tallies, used, held)
  if turned and not has_end then keep_windows(key, now) end
  return fields, texts
end

-- The same for a key's windows. A key that was deleted meanwhile has none any more, and gets none. Only after
-- change_windows, for the same reason as there.
local function change_key_windows(key, key_record, at_ms, budget_start, used, held)
  if redis.call('EXISTS', key_record) == 0 then return {}, {} end
  local fields = key_fields_of(at_ms, budget_start)
  return fields, write_windows(key, fields, read_windows(key, fields), used, held)
end

-- Ends a reservation: out of the requests in flight and out of the lease index.
local function forget(in_flight, leases, id, subject)
  redis.call('HDEL', in_flight, id)
  redis.call('ZREM', leases, id .. ' ' .. subject)
end

-- Adds to a balance and to what is held of it, if there is one. May go below zero: what was used beyond the reservation
-- is owed. Returns it as "nano held", or '' where there is none.
local function change_balance(key, nano_usd, held)
  local has, holds = balance_of(key)
  if not has then return '' end
  has, holds = format('%d', has + nano_usd), format('%d', math.max(0, holds + held))
  redis.call('HSET', key, 'nano', has, 'held', holds)
  return has .. ' ' .. holds
end
