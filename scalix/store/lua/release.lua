-- Gives back a reservation as if it had never been made, or what a sweep has charged in its place. A tombstone keeps an
-- admission that is still on its way from reserving for a caller who has stopped waiting.
--
-- KEYS  1 to 7 as those of settle
--       8 to 17 and 18 to 27 books of the two days in which a sweep may have charged it: see ledger.lua
--       with a virtual key also 28 key's windows (hash)  29 key's record (hash)
-- ARGV  1 request id  2 subject  3 now in ms ('' for the server's time)  4 lifetime of the tombstone in ms
--       5 days that sums by hour, 6 sums by day are kept
-- Returns 1 if a reservation or a sweep's charge was given back, else 0

local id, subject = ARGV[1], ARGV[2]
local now, hours_days, days_days = now_or_server_time(ARGV[3]), tonumber(ARGV[5]), tonumber(ARGV[6])
-- Of a request from before its user's erasure, the tombstone holds the event.
local event = redis.call('GET', KEYS[6])
local is_event = event and event ~= '1'
if not is_event then redis.call('SET', KEYS[6], '1', 'PX', ARGV[4]) end

local function give_back(charge, used, held, balance_held)
  local windows, has_end = windows_of(KEYS[1], KEYS[4], KEYS[5], charge.admitted_ms)
  if windows then
    change_windows(windows, now, charge.admitted_ms, charge.tracks_minutes, used, held, has_end)
  end
  if KEYS[28] and charge.key_id ~= '' then
    change_key_windows(KEYS[28], KEYS[29], charge.admitted_ms, charge.budget_start, used, held)
  end
  if balance_held ~= 0 or (charge.balance or 0) ~= 0 then
    change_balance(KEYS[7], charge.balance or 0, -balance_held)
  end
end

local reservation = redis.call('HGET', KEYS[2], id)
if reservation then
  local reserved = reservation_of(reservation)
  give_back(reserved, NOTHING, reserved.given_back, reserved.balance_held)
  forget(KEYS[2], KEYS[3], id, subject)
  return 1
end

local function undo(first, text, is_nobodys)
  local words = words_of(text)
  local swept = swept_of(words)
  give_back(swept, swept.used, NOTHING, 0)
  sum_up(first, addition_of(words), subject, -1, now, hours_days, days_days, is_nobodys)
end

if is_event and is_swept(event) then
  local day = math.floor(words_of(event)[ADMITTED] / DAY_MS)
  for first = 8, 18, 10 do
    if string.match(KEYS[first], ':' .. day .. '$') then
      redis.call('SET', KEYS[6], '1', 'PX', ARGV[4])
      undo(first, event, true)
      return 1
    end
  end
  return 0
end
for first = 8, 18, 10 do
  local text = redis.call('HGET', KEYS[first], id)
  if text and is_swept(text) then
    undo(first, text, false)
    redis.call('HDEL', KEYS[first], id)
    redis.call('ZREM', KEYS[first + 8], id .. ' ' .. subject)
    redis.call('ZREM', KEYS[first + 9], id)
    return 1
  end
end
return 0
