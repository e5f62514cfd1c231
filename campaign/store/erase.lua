-- Takes the person out of one contact, all at once: number, cells, outcome, conversation,
-- ticket with what went on about it, and the entry in the index. The state stays, and so do all sums.
--
-- KEYS  campaign, chunk, ledger, outcomes, histories, tickets, due tickets, tally of
--       tickets, index, log, follows, due follows (all of one hash slot)
-- ARGV  index     of the contact in its chunk
--       old, new  its record
--       sum       SHA-1 of the packed rows as they were read
--       rows      the rows without the contact
--       ticket, state, erased   the ticket as it was read, its state, and what is left of
--                 it; '' for none
--       outcome   what an erased contact has for an outcome
--       bucket, ordinal         of the index: its field, and the contact as packed there
--       by, action, longest, number   for the log; number is that of the chunk
--       follow    SHA-1 of what goes on about the ticket, as it was read; '' for none
--
-- Answers ok, moved (something has changed since it was read; nothing was written) or
-- gone. Rows that are the new ones already were written by an earlier run of this call.

local index, old, new, sum, rows = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local ticket, state, erased, outcome = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local bucket, ordinal = ARGV[10], ARGV[11]
local campaign, chunk, ledger, outcomes, histories, tickets = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

local function sumOf(text) return text and redis.sha1hex(text) or '' end
local records = redis.call('HEXISTS', campaign, 'purge_began') == 0 and redis.call('GET', ledger)
local packed = redis.call('HGET', chunk, 'rows')
if not records or not packed then return 'gone' end
local at = tonumber(index) * #old
local present = string.sub(records, at + 1, at + #old)
if present == new and packed == rows then return 'ok' end
if present ~= old or redis.sha1hex(packed) ~= sum or (redis.call('HGET', tickets, index) or '') ~= ticket or
    sumOf(redis.call('HGET', KEYS[11], index)) ~= ARGV[16] then
  return 'moved'
end

redis.call('HSET', chunk, 'rows', rows)
redis.call('SETRANGE', ledger, at, new)
redis.call('HSET', outcomes, index, outcome)
redis.call('HDEL', histories, index)
if erased ~= '' then
  redis.call('HSET', tickets, index, erased)
elseif ticket ~= '' then
  redis.call('HDEL', tickets, index)
  redis.call('HINCRBY', KEYS[8], state, -1)
end
redis.call('ZREM', KEYS[7], ARGV[15] .. '/' .. index)
redis.call('HDEL', KEYS[11], index)
redis.call('ZREM', KEYS[12], ARGV[15] .. '/' .. index)
local entries = redis.call('HGET', KEYS[9], bucket)
if entries then
  local kept = {}
  for k = 1, #entries, 12 do
    local entry = string.sub(entries, k, k + 11)
    if string.sub(entry, 9) ~= ordinal then kept[#kept + 1] = entry end
  end
  redis.call('HSET', KEYS[9], bucket, table.concat(kept))
end
redis.call('HINCRBY', campaign, 'erased', 1)
redis.call('HINCRBY', chunk, 'version', 1) -- a sender with the old rows must read again
redis.call('HINCRBY', chunk, 'told', 1)
local is = string.byte(new, 1)
redis.pcall('XADD', KEYS[10], 'MAXLEN', '~', ARGV[14], '*', 'by', ARGV[12], 'action', ARGV[13], 'text', '',
  'chunk', ARGV[15], 'request', '', 'moved', string.format('%d>%d:0=%s', is, is, index))
return 'ok'
