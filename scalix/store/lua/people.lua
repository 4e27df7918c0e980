-- Loaded before admit, settle, sweep and release: who was there on which day, in which tier, and who ran into which limit.
--
-- One hash for each shard. A field for each subject holds what is known of them, as words:
--   newest day that is in it
--   tier,first day,days   for each tier they were in; "days" has a 1 for each day they were there, the newest day first.
--                         A first day of 0: before anybody noted it
--   !day,limit,tier       for each limit that refused them lately
-- A field for each day holds how many there were of each kind, as words name=number:
--   u                 users who were there              a,tier   in this tier
--   n                 who were new                      n,tier   in this tier
--   c,tier,days       of those who were new in this tier: who were in another one so many days later, for the first time
--   x,tier            who had come in this tier and were in another one for the first time
--   h,limit,then      whom this limit refused, by what they have done in the week from then on: a tier in which they were
--                     for the first time, else + (they came back on a later day), else - (they have not)
--   late              how often something was added after the day was over
-- The same in Python: domain/ledger/people.py.

-- For how many days it is known who was there; within how many a change of tier is counted; in which those who ran into a
-- limit come back.
local PEOPLE_DAYS, COHORT_DAYS, AFTER_DAYS = 36, 28, 7
-- From the last use on. Who was last there before the sums by day begin is taken out once a day: see forget_people.lua.
local PEOPLE_TTL_MS = 400 * 86400000 + CLOCK_GRACE_MS

-- Adds to the numbers of days, {[day] = {name = number}}, and gives the key its end, which moves with each new day.
local function count_people(key, changes)
  for day, more in pairs(changes) do
    local texts, left = {}, redis.call('HGET', key, day) or ''
    for name, number in gmatch(left, '([^ =]+)=(%-?%d+)') do
      local sum = number + (more[name] or 0)
      more[name] = nil
      if sum ~= 0 then texts[#texts + 1] = name .. '=' .. format('%d', sum) end
    end
    for name, number in pairs(more) do
      if number ~= 0 then texts[#texts + 1] = name .. '=' .. format('%d', number) end
    end
    if #texts > 0 then
      redis.call('HSET', key, day, table.concat(texts, ' '))
    elseif left ~= '' then
      redis.call('HDEL', key, day)
    end
    if left == '' then redis.call('PEXPIRE', key, PEOPLE_TTL_MS) end
  end
end

-- One function, as those within it cost nothing where nobody is noted.
--
-- what: 'there' | 'gone' (nothing is left of the day) | limits that refused them ({'1h', '2d', …})
-- before: whether somebody of whom nothing is known yet was there before the day (function)
local function note_person(key, subject, day, tier, what, before)
  local newest, tiers, hits = day, {}, {}
  local changes = {}

  local function count(at_day, name, number)
    local names = changes[at_day]
    if not names then
      names = {}
      changes[at_day] = names
    end
    names[name] = (names[name] or 0) + number
  end

  -- What they count for, but for the days on which they were there.
  local function count_standing(sign)
    local origin
    for _, of in pairs(tiers) do
      if not origin or of.first < origin then origin = of.first end
    end
    if origin and origin > 0 then count(origin, 'n', sign) end
    for name, of in pairs(tiers) do
      if of.first == origin then
        if origin > 0 then count(origin, 'n,' .. name, sign) end
        local other
        for another, its in pairs(tiers) do
          if another ~= name and (not other or its.first < other) then other = its.first end
        end
        if other and other > 0 then
          count(other, 'x,' .. name, sign)
          if origin > 0 and other - origin <= COHORT_DAYS then
            count(origin, format('c,%s,%d', name, other - origin), sign)
          end
        end
      end
    end
    for _, hit in ipairs(hits) do
      local then_, first, from, to = '-', nil, newest - hit.day - AFTER_DAYS + 1, newest - hit.day
      for name, of in pairs(tiers) do
        if name ~= hit.tier and of.first >= hit.day and of.first <= hit.day + AFTER_DAYS then
          if not first or of.first < first or of.first == first and name < then_ then then_, first = name, of.first end
        elseif not first and to >= 1 and string.find(sub(of.days, math.max(from, 1), to), '1', 1, true) then
          then_ = '+'
        end
      end
      count(hit.day, format('h,%s,%s', hit.limit, then_), sign)
    end
  end

  local text = redis.call('HGET', key, subject)
  for a, b, c in gmatch(text or '', ' ([^ ,]+),([^ ,]+),([^ ,]*)') do
    if sub(a, 1, 1) == '!' then
      hits[#hits + 1] = {day = tonumber(sub(a, 2)), limit = b, tier = c}
    else
      tiers[a] = {first = tonumber(b), days = c}
    end
  end
  if text then newest = tonumber(match(text, '^%d+')) end
  local was_known = next(tiers) ~= nil

  local function is_there(name)
    local place = newest - day + 1
    return place >= 1 and sub(tiers[name].days, place, place) == '1'
  end
  local function is_there_at_all()
    for name in pairs(tiers) do
      if is_there(name) then return true end
    end
    return false
  end

  if what == 'gone' then
    if not tiers[tier] or not is_there(tier) then return end
  elseif what == 'there' then
    if tiers[tier] and is_there(tier) or newest - day >= PEOPLE_DAYS then return end
  else
    local new = {}
    for _, limit in ipairs(what) do
      if not string.find(text or '', format(' !%d,%s,', day, limit), 1, true) then
        new[#new + 1] = {day = day, limit = limit, tier = tier}
      end
    end
    if #new == 0 then return end
    what = new
  end

  -- Who comes on another day counts for nothing else, but for the limits that they have run into.
  local is_same = what == 'there' and tiers[tier] and day >= tiers[tier].first and #hits == 0
  if not is_same then count_standing(-1) end
  if day > newest then
    for _, of in pairs(tiers) do of.days = string.rep('0', math.min(day - newest, PEOPLE_DAYS)) .. of.days end
    newest = day
  end
  local place = newest - day + 1
  local function mark(of, sign)
    local days = of.days .. string.rep('0', place - #of.days)
    of.days = sub(days, 1, place - 1) .. sign .. sub(days, place + 1)
  end
  if what == 'there' then
    if not is_there_at_all() then count(day, 'u', 1) end
    count(day, 'a,' .. tier, 1)
    local of = tiers[tier]
    if not of then
      of = {first = (was_known or not before()) and day or 0, days = ''}
      tiers[tier] = of
    end
    if day < of.first then of.first = day end
    mark(of, '1')
  elseif what == 'gone' then
    local of = tiers[tier]
    mark(of, '0')
    count(day, 'a,' .. tier, -1)
    if not is_there_at_all() then count(day, 'u', -1) end
    if of.first == day then
      local last = match(of.days, '^.*()1')
      if last then of.first = newest - last + 1 else tiers[tier] = nil end
    end
  else
    for _, hit in ipairs(what) do hits[#hits + 1] = hit end
  end
  if not is_same then count_standing(1) end

  local words = {format('%d', newest)}
  for name, of in pairs(tiers) do
    words[#words + 1] = format('%s,%d,%s', name, of.first, match(sub(of.days, 1, PEOPLE_DAYS), '^(.-)0*$'))
  end
  for _, hit in ipairs(hits) do
    if hit.day >= newest - AFTER_DAYS then words[#words + 1] = format('!%d,%s,%s', hit.day, hit.limit, hit.tier) end
  end
  if #words > 1 then
    redis.call('HSET', key, subject, table.concat(words, ' '))
  else
    redis.call('HDEL', key, subject)
  end
  count_people(key, changes)
end
