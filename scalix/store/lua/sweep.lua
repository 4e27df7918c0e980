-- Charges a request whose lease has lapsed (its worker died) the estimate of its prompt, once.
--
-- KEYS  as those of settle, by the reservation that was seen
-- ARGV  1 request id  2 subject  3 now in ms ('' for the server's time)
--       4 admitted in ms, from which KEYS 8 to 17 were named (0: no reservation was seen)
--       5 key id, from which KEYS 18 and 19 were named ('' for none)
--       6 days that events, 7 sums by hour, 8 sums by day are kept
--       9 the last words of its event: one for each later field, and the version
-- Returns 1 if it was charged; 0 if the lease has been renewed, or the request has ended meanwhile

local id, subject = ARGV[1], ARGV[2]
local now = now_or_server_time(ARGV[3])
local events_days, hours_days, days_days = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local lapses = redis.call('ZSCORE', KEYS[3], id .. ' ' .. subject)
if not lapses or tonumber(lapses) > now then return 0 end

local reservation = redis.call('HGET', KEYS[2], id)
if not reservation then
  redis.call('ZREM', KEYS[3], id .. ' ' .. subject)
  return 0
end
local reserved = reservation_of(reservation)
if reserved.admitted_ms ~= tonumber(ARGV[4]) or reserved.key_id ~= ARGV[5] then return 0 end

local windows, has_end, is_before = windows_of(KEYS[1], KEYS[4], KEYS[5], reserved.admitted_ms)
local known
if is_before then
  known = redis.call('GET', KEYS[6])
  known = known and known ~= '1'
else
  known = redis.call('HEXISTS', KEYS[8], id) == 1
end

local function change(used, charge)
  if windows then
    change_windows(windows, now, reserved.admitted_ms, reserved.tracks_minutes, used, reserved.given_back, has_end)
  end
  if reserved.key_id ~= '' then
    change_key_windows(KEYS[18], KEYS[19], reserved.admitted_ms, reserved.budget_start, used, reserved.given_back)
  end
  if charge == 0 and reserved.balance_held == 0 then return '' end
  return change_balance(KEYS[7], -charge, -reserved.balance_held)
end

if known then
  -- Its admission was written after its settlement, which came through the journal.
  change(NOTHING, 0)
  forget(KEYS[2], KEYS[3], id, subject)
  return 0
end
local used = reserved.if_swept
local charge = reserved.is_billed and used[NANO_USD] or 0
local words = {
  'swept', '1', '0', '0', '1', format('%.0f', reserved.admitted_ms), reserved.key_id == '' and '-' or reserved.key_id,
  reserved.tier, reserved.model, '-', '-', format('%.0f', used[TOKENS]), '0', '0', '0',
  format('%.0f', reserved.prompt_cost), format('%.0f', charge), reserved.price_version, '0', '-', '-', '-', '-',
  reserved.tracks_minutes and '1' or '0', format('%.0f', reserved.budget_start), '0',
}
for word in gmatch(ARGV[9], '%S+') do words[#words + 1] = word end
for position, metric in ipairs(METRICS) do words[metric.word] = format('%.0f', used[position]) end
if is_before then
  -- First: without windows to change, this is the write that a server out of memory refuses.
  write_event(8, KEYS[6], id, subject, table.concat(words, ' '), reserved.admitted_ms, now, events_days, true)
end
if change(used, charge) ~= '' and charge > 0 then words[WORDS + 3] = '1' end
write_event(8, KEYS[6], id, subject, table.concat(words, ' '), reserved.admitted_ms, now, events_days, is_before)
sum_up(8, addition_of(words), subject, 1, now, hours_days, days_days, is_before)
forget(KEYS[2], KEYS[3], id, subject)
return 1
