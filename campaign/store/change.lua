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
--       changes  per contact: index (2 bytes, little-endian), old record, new record
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

local function any(states)
  for at = 1, #records, size do
    if states[string.byte(records, at)] then return true end
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

local apply, moved = {}, {}
for at = 1, #changes, 2 + 2 * size do
  local index = string.byte(changes, at) + 256 * string.byte(changes, at + 1)
  local old = string.sub(changes, at + 2, at + 1 + size)
  local new = string.sub(changes, at + 2 + size, at + 1 + 2 * size)
  local present = string.sub(records, index * size + 1, (index + 1) * size)
  if #present < size then return {'gone', now, '', ''} end
  local allowed = act ~= 'commit' or mine or string.find(evidence, string.sub(new, 1, 1), 1, true)
  if present == old and allowed then
    apply[#apply + 1] = {index, old, new}
  elseif present ~= new then
    moved[#moved + 1] = string.sub(changes, at, at + 1) .. present
  end
end
if act == 'begin' and #moved > 0 then
  return {'moved', now, '', table.concat(moved)}
end

-- Write runs of neighbours at once, and move the tally by what was written.
local deltas = {}
local function count(record, by)
  local state, reason = string.byte(record, 1), string.byte(record, 5) + 256 * string.byte(record, 6)
  deltas[state] = (deltas[state] or 0) + by
  if reason > 0 then
    local key = state .. ':' .. reason
    deltas[key] = (deltas[key] or 0) + by
  end
end
local run, from = {}, nil
local function flush()
  if from then redis.call('SETRANGE', ledger, from * size, table.concat(run)) end
  run, from = {}, nil
end
for _, change in ipairs(apply) do
  local index, old, new = change[1], change[2], change[3]
  if from and index ~= from + #run then flush() end
  from = from or index
  run[#run + 1] = new
  count(old, -1)
  count(new, 1)
end
flush()
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
  for _, change in ipairs(apply) do
    local index, old, new = change[1], change[2], change[3]
    local fate = string.format('%d>%d:%d', string.byte(old, 1), string.byte(new, 1), string.byte(new, 5) + 256 * string.byte(new, 6))
    local list = spans[fate]
    if not list then
      list = {}
      spans[fate] = list
      order[#order + 1] = fate
    end
    local last = list[#list]
    if last and last[2] == index - 1 then last[2] = index else list[#list + 1] = {index, index} end
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
