-- Changes records of one chunk, all at once, if the caller has the right to.
--
-- KEYS  campaign, chunk, ledger, open, tally, log, window, day, cohorts, rungs, seen (all of
--       one hash slot)
-- ARGV  act      begin | commit | recover | steer | climb
--       token    the caller's claim, '' when it has none
--       dead     a claim whose worker is known to be gone, or ''
--       ttl      ms that the claim lasts from now; 0 gives it up
--       due      ms from now by which the chunk must have moved; 0 leaves the time as it
--                was, and means now for a chunk that had nothing left to send
--       number   of the chunk
--       size     of a record, in bytes
--       evidence the states that are evidence, one byte each
--       changes  runs of neighbours that go from one state, reason, rung and doubt to one other:
--                index of the first and number of contacts (2 bytes each,
--                little-endian), their old records, their new ones
--       by, action, text, request   for the log; no action: nothing is logged
--       longest  the log may become, about
--       version  begin, climb, commit: of the settings it was decided by; '' for any
--       cap      begin: contacts that may begin on one day; 0: any number
--       from, until   the day in ms. begin: it must be now; commit: contacts that were
--                not sent are taken off its count; '' counts nothing
--       judge    commit, recover: '1' judges the window and may pause the campaign, with
--       why      the reason of that pause
--       look     climb: the chunk's counts of outcomes and of changes as they were read, and
--                what seeRungs takes
--       latest   ms; begin, climb, recover: it must not be later; '' for any time
--
-- Answers {status, now in ms, detail, moved, window}:
--   ok       done; detail is the number of requests begun on this chunk; moved are
--            the contacts left alone, index and present record of each, because the
--            record was not the old one or the caller has no right to it; window is
--            that of a campaign which this has paused, else ''
--   canceled commit only: nothing was changed. The campaign was canceled since its terms, so
--            no contact becomes pending
--   phase    begin, climb: the campaign is not running; detail is its phase
--   approval begin, climb: it waits for approval
--   outdated begin, climb: the settings have changed, or the day is over
--   capped   begin only: detail is how many contacts may still begin today
--   busy     begin, recover: the claim is another's and alive; detail is its end in ms
--   unrecovered  begin only: contacts are sending under another claim that has ended
--   guard    begin only: a guard of the answers has tripped; detail is judgeCohorts's
--   late     begin, climb, recover: it is later than latest. A frozen server carries out old
--            commands after their callers are gone
--   moved    begin only: nothing was changed, because of the contacts in moved
--   gone     the chunk or one of the contacts does not exist, or the campaign is being
--            purged
--
-- A record that already is the new one counts as changed: an earlier run of this call
-- may have written it and lost its answer.

local PENDING, SENDING, ACCEPTED, STARTED, CANCELED = 0, 1, 2, 6, 8
local VERDICT = 9 -- bytes in the window

local act, token, dead, ttl, due, number = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local size, evidence, changes = tonumber(ARGV[7]), ARGV[8], ARGV[9]
local by, action, text, request, longest = ARGV[10], ARGV[11], ARGV[12], ARGV[13], ARGV[14]
local version, cap, from, ends, judge, why = ARGV[15], tonumber(ARGV[16]), ARGV[17], tonumber(ARGV[18]), ARGV[19] == '1', ARGV[20]
local latest = tonumber(ARGV[22])
local toldThen, changedThen, found = string.match(ARGV[21], '^(%d+) (%d+) (.*)$')
local campaign, chunk, ledger, open, tally, log, window, day, cohorts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local rungs, seen = KEYS[10], KEYS[11]

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local records = redis.call('HEXISTS', campaign, 'purge_began') == 0 and redis.call('GET', ledger)
if not records then return {'gone', now, '', '', ''} end

local byte, sub = string.byte, string.sub
local function any(states)
  for at = 1, #records, size do
    if states[byte(records, at)] then return true end
  end
  return false
end

local held = redis.call('HMGET', chunk, 'claim', 'claim_until', 'told', 'version')
local mine = token ~= '' and held[1] == token
local free = not held[1] or held[1] == dead or tonumber(held[2]) <= now
local unheard = not found or toldThen == (held[3] or '0') -- no event has told more since the look

local settings = redis.call('HMGET', campaign, 'phase', 'phase_reason', 'settings_version', 'guard', 'guards', 'rungs', 'approval', 'canceled')
local phase, reason, guard, guards, approval = settings[1], settings[2], settings[4], settings[5] or '', settings[7] or ''
if act == 'begin' or act == 'climb' then
  if phase ~= 'running' then return {'phase', now, phase or '', '', ''} end
  if approval ~= '' and approval ~= 'given' then return {'approval', now, '', '', ''} end
  if version ~= '' and version ~= (settings[3] or '0') or from ~= '' and (now < tonumber(from) or now >= ends) then
    return {'outdated', now, '', '', ''}
  end
end
if (act == 'begin' or act == 'recover') and not mine and not free then
  return {'busy', now, held[2], '', ''}
end
if act == 'begin' and not mine and any({[SENDING] = true}) then
  return {'unrecovered', now, '', '', ''}
end

-- A run is compared, written and counted as a whole. Only when some of its contacts
-- have moved is it compared contact by contact.
local apply, moved = {}, {}
local function check(index, old, new)
  local present = sub(records, index * size + 1, index * size + #old)
  local allowed = unheard and (act ~= 'commit' or mine or string.find(evidence, sub(new, 1, 1), 1, true))
  if present == old and allowed then
    apply[#apply + 1] = {index, old, new}
  elseif present ~= new then
    if #old > size then
      for at = 1, #old, size do
        check(index + (at - 1) / size, sub(old, at, at + size - 1), sub(new, at, at + size - 1))
      end
    else
      moved[#moved + 1] = string.char(index % 256, math.floor(index / 256)) .. present
    end
  end
end
local at = 1
while at < #changes do
  local index, count = byte(changes, at) + 256 * byte(changes, at + 1), byte(changes, at + 2) + 256 * byte(changes, at + 3)
  local old, new = at + 4, at + 4 + count * size
  at = new + count * size
  if (index + count) * size > #records then return {'gone', now, '', '', ''} end
  check(index, sub(changes, old, new - 1), sub(changes, new, at - 1))
end
local done = act == 'begin' and mine and #apply == 0 and #moved == 0 -- by an earlier run, in time
if latest and now > latest and not done then
  return {'late', now, '', '', ''}
end
if act == 'begin' and guards ~= '' and not done then
  local tripped = judgeCohorts(cohorts, guards, now)
  if tripped then return {'guard', now, tripped, '', ''} end
end
if act == 'begin' and #moved > 0 then
  return {'moved', now, '', table.concat(moved), ''}
end
if act == 'commit' and version ~= '' and tonumber(version) < tonumber(settings[8] or '0') then
  for _, change in ipairs(apply) do
    if byte(change[3], 1) == PENDING then return {'canceled', now, '', '', ''} end
  end
end

-- Contacts that begin are counted for the day, and taken off again when it turns
-- out that nothing was sent. A day that was cut anew, in another zone, goes on
-- counting until the old one is over.
if from ~= '' then
  local began, unsent = 0, 0
  for _, change in ipairs(apply) do
    local old, new = byte(change[2], 1), byte(change[3], 1)
    if new == SENDING then began = began + #change[3] / size end
    if old == SENDING and (new == PENDING or new == CANCELED) then unsent = unsent + #change[3] / size end
  end
  local kept = redis.call('HMGET', day, 'from', 'until', 'begun')
  if act == 'begin' and began > 0 then
    local begun = tonumber(kept[3] or '0')
    if kept[1] ~= from and tonumber(kept[2] or '0') <= now then begun = 0 end
    if cap > 0 and begun + began > cap then
      return {'capped', now, string.format('%.0f', math.max(cap - begun, 0)), '', ''}
    end
    redis.call('HSET', day, 'from', from, 'until', ARGV[18], 'begun', string.format('%.0f', begun + began))
  elseif unsent > 0 and kept[1] == from then
    redis.call('HINCRBY', day, 'begun', string.format('%.0f', -unsent))
  end
end

-- Write, and move the tally by what was written.
local deltas = {}
local function count(records, sign)
  local state, reason = byte(records, 1), byte(records, 5) + 256 * byte(records, 6)
  local n = sign * #records / size
  deltas[state] = (deltas[state] or 0) + n
  if byte(records, size) % 2 == 1 then -- in doubt
    deltas[state .. ':doubt'] = (deltas[state .. ':doubt'] or 0) + n
  end
  if state == PENDING and byte(records, size) >= 8 then -- for a rung
    deltas['0:rung'] = (deltas['0:rung'] or 0) + n
  end
  if reason > 0 then
    local key = state .. ':' .. reason
    deltas[key] = (deltas[key] or 0) + n
  end
end
for _, run in ipairs(apply) do
  redis.call('SETRANGE', ledger, run[1] * size, run[3])
  count(run[2], -1)
  count(run[3], 1)
end
for field, by in pairs(deltas) do
  if by ~= 0 and redis.call('HINCRBY', tally, field, by) == 0 then
    redis.call('HDEL', tally, field)
  end
end
if #apply > 0 then redis.call('HINCRBY', chunk, 'version', 1) end

-- The log gets what was written: "from>to:reason=spans;…". A repeated call writes
-- nothing and logs nothing. A change stands even if it cannot be logged.
if action ~= '' and #apply > 0 then
  local order, spans = {}, {}
  for _, run in ipairs(apply) do
    local first, old, new = run[1], run[2], run[3]
    local fate = string.format('%d>%d:%d', byte(old, 1), byte(new, 1), byte(new, 5) + 256 * byte(new, 6))
    local list = spans[fate]
    if not list then
      list = {}
      spans[fate] = list
      order[#order + 1] = fate
    end
    local last, span = list[#list], {first, first + #old / size - 1}
    if last and last[2] == first - 1 then last[2] = span[2] else list[#list + 1] = span end
  end
  for i, fate in ipairs(order) do
    local list = spans[fate]
    for k, span in ipairs(list) do
      list[k] = span[1] == span[2] and tostring(span[1]) or span[1] .. '-' .. span[2]
    end
    order[i] = fate .. '=' .. table.concat(list, ',')
  end
  redis.pcall('XADD', log, 'MAXLEN', '~', longest, '*', 'by', by, 'action', action, 'text', text,
    'chunk', number, 'request', request, 'moved', table.concat(order, ';'))
end

-- What became of requests goes into the window, the latest last: state, index,
-- reason and chunk of each contact.
local tripped = ''
if guard and guard ~= '' then
  local share, fewest, width = string.match(guard, '^(%d+) (%d+) (%d+)$')
  local kept = redis.call('GET', window) or ''
  local verdicts = {}
  local n = tonumber(number)
  local place = string.char(n % 256, math.floor(n / 256) % 256, math.floor(n / 65536) % 256, math.floor(n / 16777216))
  for _, change in ipairs(apply) do
    local index, old, new = change[1], change[2], change[3]
    local state = string.byte(new, 1)
    if string.byte(old, 1) == SENDING and state ~= PENDING and state ~= CANCELED then
      for i = 0, #new / size - 1 do
        local at = index + i
        verdicts[#verdicts + 1] = string.char(state, at % 256, math.floor(at / 256)) .. string.sub(new, 5, 6) .. place
      end
    end
  end
  if #verdicts > 0 then
    kept = string.sub(kept .. table.concat(verdicts), -VERDICT * tonumber(width))
    redis.call('SET', window, kept)
  end
  -- With no contact left to send there is nothing to prevent, and a rerun must not be
  -- judged by what came before it. One that was paused together with others is judged by its
  -- last answers: it must not go on with them.
  local left = redis.call('HMGET', tally, PENDING, SENDING)
  local goes = judge and (phase == 'running' or jointly(phase, reason))
  if goes and not left[1] and not left[2] then
    redis.call('DEL', window)
  elseif goes then
    local all, bad = #kept / VERDICT, 0
    for at = 1, #kept, VERDICT do
      if not string.find(evidence, string.sub(kept, at, at), 1, true) then bad = bad + 1 end
    end
    if all >= tonumber(fewest) and bad * 10000 > tonumber(share) * all then
      redis.call('HSET', campaign, 'phase', 'paused', 'phase_reason', why)
      phase, reason = 'paused', why
    end
  end
  if judge and phase == 'paused' and reason == why then tripped = kept end
end

-- Whom a request or an event has shown to be reached goes into a cohort. One that an event
-- takes off the rung for which it waited was reached before, and counted then. With no contact
-- left to send they start anew, as the window does.
if guards ~= '' then
  local told, accepted = {}, 0
  for _, change in ipairs(apply) do
    local old, new = change[2], change[3]
    local again = math.floor(byte(new, size) / 8) < math.floor(byte(old, size) / 8) -- its rung is the one before
    if not again and not string.find(evidence, sub(old, 1, 1), 1, true) and string.find(evidence, sub(new, 1, 1), 1, true) then
      for at = 1, #new, size do
        local a, b, c, d = byte(new, at + 6, at + 9) -- when it changed, in seconds
        local seconds, last = a + 256 * (b + 256 * (c + 256 * d)), told[#told]
        if last and last[1] == seconds then
          last[3] = last[3] + 1
        else
          told[#told + 1] = {seconds, REACHED, 1}
        end
      end
      if byte(new, 1) == ACCEPTED then accepted = accepted + #new / size end
    end
  end
  if #told > 0 then tellCohorts(cohorts, told, now / 1000) end
  if accepted > 0 then missCohorts(cohorts, accepted, now) end
  local left = redis.call('HMGET', tally, PENDING, SENDING)
  if not left[1] and not left[2] then startCohorts(cohorts) end
end

local requests = redis.call('HGET', chunk, 'requests') or '0'
if act == 'begin' then
  if #apply > 0 then requests = redis.call('HINCRBY', chunk, 'requests', 1) end
  redis.call('HSET', chunk, 'claim', token, 'claim_until', string.format('%.0f', now + ttl))
elseif act == 'commit' and mine then
  if ttl > 0 then
    redis.call('HSET', chunk, 'claim_until', string.format('%.0f', now + ttl))
  else
    redis.call('HDEL', chunk, 'claim', 'claim_until')
  end
elseif act == 'recover' then
  redis.call('HDEL', chunk, 'claim', 'claim_until')
end

records = redis.call('GET', ledger)
local over = found and unheard and changedThen == (held[4] or '0')
if over then
  seeRungs(tally, rungs, seen, number, found)
elseif phase ~= 'canceled' then
  local settled = not any({[PENDING] = true, [SENDING] = true, [ACCEPTED] = true, [STARTED] = true})
  expectRungs(settings[6] or '', tally, rungs, number, apply, size, evidence, settled, now)
end
if not any({[PENDING] = true, [SENDING] = true}) then
  over = redis.call('ZREM', open, number) == 1 or over
elseif due > 0 then
  redis.call('ZADD', open, string.format('%.0f', now + due), number)
else
  redis.call('ZADD', open, 'NX', string.format('%.0f', now), number)
end
if over then endIfOver(campaign, open, rungs, now) end
return {'ok', now, tostring(requests), table.concat(moved), tripped}
