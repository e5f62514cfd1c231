-- Changes records of one chunk, all at once, for a caller that has the right to.
--
-- KEYS  campaign, chunk, ledger, open, tally, log (all of one hash slot)
-- ARGV  act      begin | commit | recover | steer
--       token    the caller's claim, '' when it has none
--       dead     a claim whose worker is known to be gone, ''
--       hold     ms the claim is to last from now; 0 gives it up
--       due      ms from now by which the chunk must have moved; 0 leaves that as it is,
--                or is now for a chunk that was through
--       number   of the chunk
--       size     of a record, in bytes
--       evidence the states that are evidence, one byte each
--       changes  runs of neighbours that go from one state and reason to one other:
--                index of the first and number of contacts (2 bytes each,
--                little-endian), their old records, their new ones
--       by, action, text, request   for the log; no action: nothing is logged
--       longest  the log may become, about
--
-- Answers {status, now in ms, detail, moved}:
--   ok       done; detail is the number of requests begun on this chunk, and
--            moved the contacts left alone: index and present record of each,
--            because it was not the old one or the caller has no right to it
--   phase    begin only: the campaign is not running; detail is its phase
--   busy     begin, recover: the claim is another's and alive; detail is its end in ms
--   unsettled begin only: contacts are sending under another claim that has ended
--   moved    begin only: nothing was changed, because of the contacts in moved
--   gone     the chunk, or one of the contacts in its ledger, is not there
--
-- A record that already is the new one counts as changed: this very script may
-- have run before, and only its answer been lost.

local PENDING, SENDING = 0, 1

local act, token, dead, hold, due, number = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local size, evidence, changes = tonumber(ARGV[7]), ARGV[8], ARGV[9]
local by, action, text, request, longest = ARGV[10], ARGV[11], ARGV[12], ARGV[13], ARGV[14]
local campaign, chunk, ledger, open, tally, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local records = redis.call('GET', ledger)
if not records then return {'gone', now, '', ''} end

local byte, sub = string.byte, string.sub
local function any(states)
  for at = 1, #records, size do
    if states[byte(records, at)] then return true end
  end
  return false
end

local held = redis.call('HMGET', chunk, 'claim', 'claim_until')
local mine = token ~= '' and held[1] == token
local free = not held[1] or held[1] == dead or tonumber(held[2]) <= now

if act == 'begin' then
  local phase = redis.call('HGET', campaign, 'phase')
  if phase ~= 'running' then return {'phase', now, phase or '', ''} end
end
if (act == 'begin' or act == 'recover') and not mine and not free then
  return {'busy', now, held[2], ''}
end
if act == 'begin' and not mine and any({[SENDING] = true}) then
  return {'unsettled', now, '', ''}
end

-- A run is compared, written and counted as a whole; only one of which some
-- contacts have moved is gone through contact by contact.
local apply, moved = {}, {}
local function check(index, old, new)
  local present = sub(records, index * size + 1, index * size + #old)
  local allowed = act ~= 'commit' or mine or string.find(evidence, sub(new, 1, 1), 1, true)
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
  if (index + count) * size > #records then return {'gone', now, '', ''} end
  check(index, sub(changes, old, new - 1), sub(changes, new, at - 1))
end
if act == 'begin' and #moved > 0 then
  return {'moved', now, '', table.concat(moved)}
end

-- Write, and move the tally by what was written.
local deltas = {}
local function count(records, sign)
  local state, reason = byte(records, 1), byte(records, 5) + 256 * byte(records, 6)
  local n = sign * #records / size
  deltas[state] = (deltas[state] or 0) + n
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

-- The log is told what was written: "from>to:reason=spans;…". A call that is
-- repeated writes nothing, and so tells nothing; and what is written stands even
-- where it cannot be told.
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

local requests = redis.call('HGET', chunk, 'requests') or '0'
if act == 'begin' then
  if #apply > 0 then requests = redis.call('HINCRBY', chunk, 'requests', 1) end
  redis.call('HSET', chunk, 'claim', token, 'claim_until', string.format('%.0f', now + hold))
elseif act == 'commit' and mine then
  if hold > 0 then
    redis.call('HSET', chunk, 'claim_until', string.format('%.0f', now + hold))
  else
    redis.call('HDEL', chunk, 'claim', 'claim_until')
  end
elseif act == 'recover' then
  redis.call('HDEL', chunk, 'claim', 'claim_until')
end

records = redis.call('GET', ledger)
if not any({[PENDING] = true, [SENDING] = true}) then
  redis.call('ZREM', open, number)
elseif due > 0 then
  redis.call('ZADD', open, string.format('%.0f', now + due), number)
else
  redis.call('ZADD', open, 'NX', string.format('%.0f', now), number)
end
return {'ok', now, tostring(requests), table.concat(moved)}
