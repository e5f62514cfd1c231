-- The quota's state in Redis, as JSON in KEYS[1]. This decides just as the methods
-- of state do in Go, where the comments are and the constants: Go puts them before
-- this text. A test holds both equal.

local KEEP = 3600000 -- an idle state outlives two windows by this

local floor, min, max = math.floor, math.min, math.max
local now, s -- the time, the state
local p = {} -- the policy

local function limit()
  if s.told > 0 then return s.told end
  return p.limit
end

local function used()
  local n = #s.flight
  for _, e in ipairs(s.log) do n = n + e.ours + e.others end
  return n
end

local function credits()
  local ours = #s.flight
  for _, e in ipairs(s.log) do ours = ours + e.ours end
  return min(limit() - used(), max(1, floor(limit() * p.share / 1000)) - ours)
end

local function silent() return now - s.heard > floor(p.window / 3) end

local function scarce()
  return limit() > 0 and s.others >= 1000 and credits() <= FEW_LEFT
end

local function alone() return silent() or scarce() end

local function awaited()
  if #s.flight == 0 or not alone() then return nil end
  local patience = floor(p.window / 6)
  if s.failures > 0 then patience = p.timeout end
  local asked = s.flight[#s.flight].at
  if asked >= s.block and now < asked + patience then return asked end
end

local function settled(f) return now >= f.at + floor(p.window / 6) end

local function drop(n)
  local dropped = 0
  while n > dropped do
    local f, e = s.flight[1], s.log[1]
    if f and settled(f) and (not e or f.at + p.window < e.at) then
      table.remove(s.flight, 1)
      dropped = dropped + 1
    elseif e then
      local ours = min(n - dropped, e.ours)
      local others = min(n - dropped - ours, e.others)
      e.ours = e.ours - ours
      e.others = e.others - others
      dropped = dropped + ours + others
      if e.ours + e.others == 0 then table.remove(s.log, 1) end
    else
      break
    end
  end
  s.expired = s.expired + dropped
  return dropped
end

local function book(at, ours, others)
  local grain = max(1, floor(p.window / LOG_ENTRIES))
  if limit() == 0 then grain = max(1, floor(p.window / LOG_ENTRIES_UNLIMITED)) end
  at = floor((at + grain - 1) / grain) * grain
  local last = s.log[#s.log]
  if last and last.at >= at then
    last.ours = last.ours + ours
    last.others = last.others + others
  else
    table.insert(s.log, {at = at, ours = ours, others = others})
  end
end

local function recent()
  local n = 0
  for _, f in ipairs(s.flight) do
    if not settled(f) then n = n + 1 end
  end
  return n
end

local function land(serial)
  for i, f in ipairs(s.flight) do
    if f.serial == serial then
      table.remove(s.flight, i)
      return true
    end
  end
  return false
end

local function advance()
  now = max(now, s.clock)
  s.clock = now
  while #s.log > 0 and s.log[1].at <= now do
    s.expired = s.expired + s.log[1].ours + s.log[1].others
    table.remove(s.log, 1)
  end
  while #s.flight > 0 and s.flight[1].at + p.timeout <= now do
    land(s.flight[1].serial)
    book(now + p.window, 1, 0)
  end
  local age = now - s.others_at
  if age > floor(p.window / 60) then
    s.others = s.others - floor(s.others * min(age, p.window) / p.window)
    s.others_at = now
  end
end

local function even()
  if limit() == 0 then return 0 end
  return floor(p.window / limit())
end

local function interval()
  local c = credits()
  if limit() == 0 or now >= s['end'] or c <= 0 then return even() end
  local left = 1000 * c
  left = max(left - floor(s.others * (s['end'] - now) / p.window), floor(left / 2))
  return floor(1000 * (s['end'] - now) / left)
end

local function poll(waited) return max(5, floor(waited / 16)) end

local function burst()
  if p.burst > 0 then return p.burst end
  return max(1, floor(limit() * 2 / 5))
end

local function next_at(ahead)
  local step = interval()
  local queue = ahead
  if s.others >= 1000 and credits() <= 2 * FEW_LEFT then queue = max(0, queue - 2) end
  queue = queue * floor(min(step, even()) / 2)
  local at
  if now < s.block then
    return s.block + queue, s.why
  elseif limit() == 0 then
    at = now
  elseif credits() <= 0 and #s.log == 0 then
    return min(now + step, s.flight[1].at + p.timeout), FULL
  elseif credits() <= 0 then
    return s.log[1].at + queue, FULL
  elseif scarce() then
    at = now + queue
  else
    at = max(s.paced, now - burst() * step) + step + queue
  end
  local asked = awaited()
  if asked then return max(at, now + poll(now - asked)), PROBE end
  return at, PACE
end

local function grant(at, want)
  local n = want
  local step = interval()
  if limit() > 0 then
    n = min(n, credits(), max(1, floor(limit() / MOST_AT_ONCE)))
    if step > 0 then n = min(n, 1 + floor((now + BATCH_AHEAD - at) / step)) end
  end
  if alone() then n = 1 end
  for _ = 1, n do
    s.granted = s.granted + 1
    table.insert(s.flight, {serial = s.granted, at = now})
  end
  s.paced = at + (n - 1) * step
  return n
end

local function refuse(wait, headers)
  if now + wait > s.block then s.block, s.why = now + wait, REFUSED end
  if headers then
    for _, e in ipairs(s.log) do e.at = min(e.at, s.block) end
    s['end'] = s.block
  end
  s.heard = 0
end

local function fail()
  if now < s.block then return end
  s.failures = s.failures + 1
  if s.failures < PATIENCE then return end
  local wait = FIRST_BLOCK
  for _ = PATIENCE, s.failures - 1 do
    if wait < LONGEST_BLOCK then wait = wait * 2 end
  end
  s.block, s.why, s.heard = now + wait, FAILING, 0
end

local function correct(t, a, pending, was_silent)
  local changed = s.told ~= a.limit
  s.told = a.limit
  local left = s.told - used()
  local dropped = 0
  local over = left - a.remaining - (s.expired - t.expired)
  local under = a.remaining - pending - left
  if over > 0 then
    book(now + p.window, 0, over)
    if not changed and not was_silent then s.others = s.others + 1000 * over end
  elseif under > 0 then
    dropped = drop(under)
  end
  if (dropped > floor(a.limit / 4) or now >= s['end']) and a.limit - a.remaining <= 1 + pending + floor(a.limit / 8) then
    s['end'] = now + p.window
  end
end

local function learn(t, a)
  local pending = s.granted - t.counted - 1
  local was_silent = silent()
  local flew = land(t.serial)
  if flew and a.counted then book(now + p.window, 1, 0) end
  if a.answered then s.heard = now end
  if flew and a.limit > 0 then correct(t, a, pending, was_silent) end
  if a.refused then
    refuse(a.retry_after, a.limit > 0)
  elseif a.failed then
    fail()
  elseif a.answered then
    s.failures = 0
  end
end

local function peer(id, waited, want)
  local kept, me = {}, nil
  for _, o in ipairs(s.peers) do
    if o.id == id then me = o end
    if o.id == id or now <= o.back + min(p.window, LONGEST_MEMORY) then table.insert(kept, o) end
  end
  if not me then
    me = {id = id, since = 0, back = 0}
    table.insert(kept, me)
  end
  if want > 0 and me.since == 0 then me.since = now - waited end
  s.peers = kept
  return me
end

local function ahead_of(me)
  local n, back, before = 0, 0, true
  for _, o in ipairs(s.peers) do
    if o == me then
      before = false
    elseif o.since > 0 and now <= o.back + LATENESS
      and (o.since < me.since or o.since == me.since and before) then
      n = n + 1
      local due = max(o.back, now + poll(now - o.back))
      if n == 1 or due < back then back = due end
    end
  end
  return n, back
end

local function wait_of(me)
  local ahead, back = 0, 0
  if me.since > 0 then ahead, back = ahead_of(me) end
  return max(0, max(next_at(ahead), back) - now)
end

local arg, args = 0, ARGV
local function number()
  arg = arg + 1
  return tonumber(args[arg])
end

local op, id, fresh = number(), number(), number()
p.limit, p.window, p.share, p.timeout, p.burst = number(), number(), number(), number(), number()

local time = redis.call('TIME')
now = tonumber(time[1]) * 1000 + floor(tonumber(time[2]) / 1000)

local stored = redis.call('GET', KEYS[1])
if stored then
  s = cjson.decode(stored)
else
  s = {id = fresh, clock = 0, told = 0, granted = 0, expired = 0, paced = 0, ['end'] = 0,
    heard = 0, block = 0, why = 0, failures = 0, others = 0, others_at = 0}
end
s.log, s.flight, s.peers = s.log or {}, s.flight or {}, s.peers or {}

advance()
local n, me = 0, nil
local ticket = {0, 0, 0, 0}
if op == 1 then -- acquire
  local waited, want = number(), number()
  me = peer(id, waited, want)
  local at, young = next_at(0), recent()
  if at <= now and ahead_of(me) == 0 then n = grant(at, want) end
  if n > 0 then
    ticket = {s.id, s.granted - n + 1, s.granted - n - young, s.expired}
    me.since = 0
  end
else -- report
  local t = {state = number(), serial = number(), counted = number(), expired = number()}
  local a = {counted = number() == 1, answered = number() == 1, failed = number() == 1, refused = number() == 1,
    retry_after = number(), limit = number(), remaining = number()}
  if t.state == s.id then
    learn(t, a)
  elseif a.refused then
    refuse(a.retry_after, false)
  end
  me = peer(id, 0, 0)
end
local wait = wait_of(me)
me.back = now + wait
local l, others, peers = limit(), s.others, #s.peers

-- An empty table would be written as an object.
if #s.log == 0 then s.log = nil end
if #s.flight == 0 then s.flight = nil end
redis.call('SET', KEYS[1], cjson.encode(s), 'PX', 2 * p.window + KEEP)
return {n, ticket[1], ticket[2], ticket[3], ticket[4], wait, l, others, peers}
