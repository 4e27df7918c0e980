-- Loaded after windows.lua, before settle, sweep and release: what changes when a request ends.

-- Adds to the settled part and takes from the held part of every window that at_ms lies in. Neither goes below zero:
-- a reset or the end of a window may have emptied it before. Returns the fields and their new texts, in turn.
-- Callers do this before any other write: a server out of memory refuses HSET but not HDEL, and a script that has
-- failed must not have taken the reservation away. `has_end`: the hash has the end that it is to have. Without a key
-- there is nothing to change.
local function change_windows(key, now, at_ms, with_minutes, used, held, has_end)
  local fields = fields_of(indexes(at_ms), with_minutes)
  local texts = key and redis.call('HMGET', key, unpack(fields)) or {}
  local reply, write, turned = {}, {key}, false
  for position, field in ipairs(fields) do
    turned = turned or not texts[position]
    local six = unpacked(texts[position])
    if key then
      for metric = 1, 3 do
        six[metric] = math.max(0, six[metric] + used[metric])
        six[metric + 3] = math.max(0, six[metric + 3] + held[metric])
      end
    end
    local text = packed(six)
    write[#write + 1] = field
    write[#write + 1] = text
    reply[#reply + 1] = field
    reply[#reply + 1] = text
  end
  if key then
    redis.call('HSET', unpack(write))
    if turned and not has_end then keep_windows(key, now) end
  end
  return reply
end

-- The same for a key's windows. A key that was deleted meanwhile has none any more, and gets none. Only after
-- change_windows, for the same reason as there.
local function change_key_windows(key, key_record, at_ms, budget_start, used, held)
  if redis.call('EXISTS', key_record) == 0 then return {} end
  local told = {}
  local fields = key_fields_of(at_ms, budget_start)
  local texts = redis.call('HMGET', key, unpack(fields))
  local write = {key}
  for position, field in ipairs(fields) do
    local six = unpacked(texts[position])
    for metric = 1, 3 do
      six[metric] = math.max(0, six[metric] + used[metric])
      six[metric + 3] = math.max(0, six[metric + 3] + held[metric])
    end
    write[#write + 1] = field
    write[#write + 1] = packed(six)
    told[#told + 1] = 'k' .. field
    told[#told + 1] = write[#write]
  end
  redis.call('HSET', unpack(write))
  return told
end

-- Ends a reservation: out of the requests in flight and out of the lease index.
local function forget(in_flight, leases, id, subject)
  redis.call('HDEL', in_flight, id)
  redis.call('ZREM', leases, id .. ' ' .. subject)
end

local NOTHING = {0, 0, 0}

-- What takes a reservation out of the held part of its windows.
local function given_back(reserved)
  return {-1, -reserved.tokens, -reserved.nano_usd}
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
