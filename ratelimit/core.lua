-- The quota's state in Redis, as JSON in KEYS[1]. This decides just as the methods
-- of state do in Go, where the comments are and the constants: Go puts them before
-- this text. A test holds both equal.

local KEEP = 3600000 -- an idle state outlives two windows and any block by this

local floor, min, max = math.floor, math.min, math.max
local now, s -- the time, the state
local p = {} -- the policy

local function limit()
  if s.told > 0 then return s.told end
  return p.limit
end

local function in_flight()
  local n = 0
  for _, f in ipairs(s.flight) do n = n + 1 + (f.more or 0) end
  return n
end

local function used()
  local n = in_flight()
  for _, e in ipairs(s.log) do n = n + e.ours + e.others end
  return n
end

local function credits()
  local ours = in_flight()
  for _, e in ipairs(s.log) do ours = ours + e.ours end
  return min(limit() - used(), max(1, floor(limit() * p.share / 1000)) - ours)
end

local function silent() return now - s.heard > floor(s.span.window / 3) end

local function scarce()
  return limit() > 0 and s.others >= 1000 and credits() <= FEW_LEFT
end

local function alone() return s.lost > 0 or silent() or scarce() end

local function awaited()
  if #s.flight == 0 or not alone() then return nil end
  local asked = s.flight[#s.flight].at
  if s.lost > 0 then return asked end
  local patience = floor(s.span.window / 6)
  if s.failures > 0 then patience = p.timeout end
  if asked >= s.block and now < asked + patience then return asked end
end

-- Without "more" it is one permit.
local function flight(serial, more, at)
  if more == 0 then more = nil end
  return {serial = serial, more = more, at = at}
end

local function land(serial)
  for i, f in ipairs(s.flight) do
    local before = serial - f.serial
    local after = (f.more or 0) - before
    if before >= 0 and after >= 0 then
      table.remove(s.flight, i)
      if after > 0 then table.insert(s.flight, i, flight(serial + 1, after - 1, f.at)) end
      if before > 0 then table.insert(s.flight, i, flight(f.serial, before - 1, f.at)) end
      return f.at, true
    end
  end
  return 0, false
end

local function arrived(f) return now >= f.at + floor(s.span.window / 6) end

local function drop(n)
  local dropped = 0
  while n > dropped do
    local f, e = s.flight[1], s.log[1]
    if f and arrived(f) and (not e or f.at < e.at) then
      land(f.serial)
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
  local grain = max(1, floor(s.span.window / LOG_ENTRIES))
  if limit() == 0 then grain = max(1, floor(s.span.window / LOG_ENTRIES_UNLIMITED)) end
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
    if not arrived(f) then n = n + 1 + (f.more or 0) end
  end
  return n
end

local function set_window(window)
  if s['end'] > 0 then s['end'] = s['end'] + window - s.span.window end
  s.span.window = window
end

local function declare()
  local w = s.span
  if w.learned > 0 and s.told == 0 and now > w.learned + LONGEST_UNPROVEN * w.window then w.learned = 0 end
  if w.window ~= 0 and (w.learned > 0 or p.asks) then return end
  if p.window >= w.window or now > w.declared + w.window then
    set_window(p.window)
    if not p.asks then w.declared = now end
  end
end

local function open(sent)
  local w = s.span
  w.opened, w.seen, w.within = sent, now, sent
end

local UNITS = {60000, 30000, 10000, 5000, 1000}

local function likely(longer, at_most)
  for _, unit in ipairs(UNITS) do
    local length = floor(at_most / unit) * unit
    if length > longer and 6 * (at_most - length) <= at_most then return length end
  end
  return at_most
end

local function shorten()
  local w = s.span
  local length, most = now - w.opened, w.window
  if s.others >= 1000 then most = most - floor(most / 8) end
  length = max(SHORTEST, likely(w.within - w.seen, length))
  local longer, shorter = max(length, w.shorter), min(length, w.shorter)
  if w.agreed > 0 and 4 * (longer - shorter) <= longer then
    w.agreed = w.agreed + 1
    w.shorter = longer
  else
    w.agreed, w.shorter = 1, length
  end
  if w.agreed < 2 + w.doubts then return end
  if w.shorter < most then
    set_window(w.shorter)
    w.learned, w.proven, w.agreed = now, 0, 0
  else
    w.agreed, w.shorter = 1, length
  end
end

local function foreign(limit_told)
  if s.others < 1000 then return 0 end
  return floor(limit_told / 8)
end

local function measure(sent, fresh, early, changed)
  local w = s.span
  if changed then
    w.opened, w.agreed = 0, 0
    if fresh then open(sent) end
  elseif fresh and sent >= w.seen + 3 * (w.seen - w.opened) and (early or now >= s['end']) then
    if w.opened > 0 then shorten() end
    open(sent)
  else
    w.within = max(w.within, sent)
  end
end

local function stretch(sent, a)
  local w = s.span
  local told = a.retry_after - SLACK
  local length = told
  local ours = a.limit > 0 or s.told == 0
  if ours and w.opened > 0 and now - w.opened <= 2 * w.window then
    length = max(length, likely(sent - w.seen + told - SLACK, now - w.opened + told + SLACK))
  end
  if length > LONGEST_LEARNED then
    -- a penalty, or another limit
  elseif length > w.window then
    set_window(length)
    w.learned, w.agreed = now, 0
  elseif ours and w.learned > 0 and not p.asks and w.window < p.window and s.others < 1000 then
    w.learned, w.agreed = 0, 0
    w.doubts = min(w.doubts + 1, MOST_DOUBTS)
    declare()
  end
  if ours then w.proven = 1 end
end

local function tick()
  s.ahead = max(s.ahead or 0, s.clock - now)
  now = now + s.ahead
  s.clock = now
end

local function advance()
  tick()
  declare()
  local window = s.span.window
  while #s.log > 0 and s.log[1].at + window <= now do
    s.expired = s.expired + s.log[1].ours + s.log[1].others
    table.remove(s.log, 1)
  end
  while #s.flight > 0 and s.flight[1].at + p.timeout <= now do
    land(s.flight[1].serial)
    book(now, 1, 0)
  end
  local age = now - s.others_at
  if age > floor(window / 60) then
    s.others = s.others - floor(s.others * min(age, window) / window)
    s.others_at = now
  end
end

local function even()
  if limit() == 0 then return 0 end
  return floor(s.span.window / limit())
end

local function interval()
  local c = credits()
  if limit() == 0 or now >= s['end'] or c <= 0 then return even() end
  local left = 1000 * c
  left = max(left - floor(s.others * (s['end'] - now) / s.span.window), floor(left / 2))
  return floor(1000 * (s['end'] - now) / left)
end

local function poll(waited) return max(5, floor(waited / 16)) end

local function burst()
  if p.burst > 0 then return p.burst end
  return max(1, floor(limit() * 2 / 5))
end

local function unproven()
  return s.told > 0 and s.heard > 0 and s.span.proven == 0 and used() >= limit()
end

local function room(step)
  if #s.log == 0 then return min(now + step, s.flight[1].at + p.timeout) end
  local at = s.log[1].at + s.span.window
  if unproven() then at = min(at, s.heard + floor(s.span.window / 3) + 1) end
  return at
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
  elseif credits() <= 0 and not (unproven() and silent()) then
    return room(step) + queue, FULL
  elseif credits() <= 0 then
    at = now
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
    n = min(n, max(1, credits()), max(1, floor(limit() / MOST_AT_ONCE)))
    if step > 0 then n = min(n, 1 + floor((now + BATCH_AHEAD - at) / step)) end
  end
  if alone() then n = 1 end
  table.insert(s.flight, flight(s.granted + 1, n - 1, now))
  s.granted = s.granted + n
  s.paced = at + (n - 1) * step
  return n
end

local function refuse(sent, a)
  local wait = a.retry_after
  if wait == 0 then
    wait = floor(s.span.window / 6)
  elseif sent > 0 then
    stretch(sent, a)
  end
  if now + wait > s.block then s.block, s.why = now + wait, REFUSED end
  if a.limit > 0 then
    for _, e in ipairs(s.log) do e.at = min(e.at, s.block - s.span.window) end
    s['end'] = s.block
  end
  s.heard = 0
end

local function back_off()
  if s.failures < PATIENCE then return 0 end
  local wait = FIRST_BLOCK
  for _ = PATIENCE, s.failures - 1 do
    if wait < LONGEST_BLOCK then wait = wait * 2 end
  end
  return wait
end

local function fail(a)
  local why = FAILING
  if a.lost then
    s.lost, why = 1, LOST
  elseif a.held then
    why = HELD
  end
  local till = 0
  if now >= s.block then
    s.failures = s.failures + 1
    if a.lost or a.held then s.failures = max(s.failures, PATIENCE) end
    till = now + back_off()
  end
  if a.held then till = max(till, now + a.retry_after) end
  if till > now and till > s.block then s.block, s.why, s.heard = till, why, 0 end
end

local function lift()
  local left, why = max(0, s.block - now), 0
  if left > 0 then why = s.why end
  s.block, s.why, s['end'], s.failures, s.span.learned = 0, 0, 0, 0, 0
  return left, why
end

local function correct(t, a, pending, sent, was_silent)
  local changed = s.told ~= a.limit
  s.told = a.limit
  local left = s.told - used()
  local dropped = 0
  local over = left - a.remaining - (s.expired - t.expired)
  local under = a.remaining - pending - left
  if over > 0 then
    book(now, 0, over)
    if not changed and not was_silent then s.others = s.others + 1000 * over end
  elseif under > 0 then
    dropped = drop(under)
  end
  local counted = a.limit - a.remaining
  measure(sent, counted <= s.granted - t.serial + 1 + foreign(a.limit), dropped > 0, changed)
  if counted <= 1 + pending + floor(a.limit / 8) and (dropped > floor(a.limit / 4) or now >= s['end']) then s['end'] = now + s.span.window end
end

local function learn(t, a)
  local pending = s.granted - t.counted - 1
  local was_silent = silent()
  local left, flew = land(t.serial)
  if flew and a.counted then
    if s.told == 0 and a.limit == 0 and used() == 0 then open(left) end
    book(now, 1, 0)
  end
  if a.answered then s.heard = now end
  if flew and a.limit > 0 then correct(t, a, pending, left, was_silent) end
  if a.refused then
    refuse(left, a)
  elseif a.failed or a.held or a.lost then
    fail(a)
  elseif a.answered then
    s.failures = 0
    if t.serial == s.probe and not p.asks then s.lost = 0 end
  end
end

local function peer(id, waited, want)
  local kept, me = {}, nil
  for _, o in ipairs(s.peers) do
    if o.id == id then me = o end
    if o.id == id or now <= o.back + min(s.span.window, LONGEST_MEMORY) then table.insert(kept, o) end
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
p.limit, p.window, p.asks, p.share, p.timeout, p.burst = number(), number(), number() == 1, number(), number(), number()

local time = redis.call('TIME')
now = tonumber(time[1]) * 1000 + floor(tonumber(time[2]) / 1000)

local stored = redis.call('GET', KEYS[1])
if stored then
  s = cjson.decode(stored)
else
  s = {id = fresh, clock = 0, ahead = 0, told = 0, granted = 0, expired = 0, paced = 0, ['end'] = 0,
    heard = 0, block = 0, why = 0, failures = 0, lost = 0, probe = 0, others = 0, others_at = 0,
    span = {window = 0, declared = 0, learned = 0, proven = 0, opened = 0, seen = 0, within = 0, shorter = 0, agreed = 0, doubts = 0}}
end
s.log, s.flight, s.peers = s.log or {}, s.flight or {}, s.peers or {}

local n, wait = 0, 0
local permit = {0, 0, 0, 0, 0}
local blocked, why
if op == 3 then -- lift
  tick()
  blocked, why = lift()
else
  advance()
  local me
  if op == 1 then -- acquire
    local waited, want = number(), number()
    me = peer(id, waited, want)
    local at, young = next_at(0), recent()
    if at <= now and ahead_of(me) == 0 then n = grant(at, want) end
    if n > 0 then
      permit = {s.id, s.granted - n + 1, s.granted - n - young, s.expired, s.lost}
      me.since = 0
      if s.lost > 0 then s.probe = permit[2] end
    end
  else -- report
    while arg < #args do
      local t = {state = number(), serial = number(), counted = number(), expired = number()}
      local a = {counted = number() == 1, answered = number() == 1, failed = number() == 1, refused = number() == 1,
        held = number() == 1, lost = number() == 1, retry_after = number(), limit = number(), remaining = number()}
      if t.state == s.id then
        learn(t, a)
      elseif a.refused then
        a.limit = 0
        refuse(0, a)
      elseif a.held or a.lost then
        fail(a)
      end
    end
    me = peer(id, 0, 0)
  end
  wait, blocked, why = wait_of(me), max(0, s.block - now), s.why
  if blocked > 0 then wait = min(wait, LOOK_AGAIN) end
  me.back = now + wait
end
local l, others, peers = limit(), s.others, #s.peers

-- An empty table would be written as an object.
if #s.log == 0 then s.log = nil end
if #s.flight == 0 then s.flight = nil end
if #s.peers == 0 then s.peers = nil end
if stored or op ~= 3 then
  redis.call('SET', KEYS[1], cjson.encode(s), 'PX', max(2 * s.span.window, s.block - now) + KEEP)
end
return {n, permit[1], permit[2], permit[3], permit[4], permit[5], wait, l, others, peers, s.span.window, blocked, why, s.lost}
