-- Rungs: which chunks of a campaign have contacts that may have a rung to come.
--
-- rungs is a sorted set of these chunks, by when they must be looked at, in ms. seen is a
-- hash of what was found at the last look: by chunk, "waiting open". The tally counts the
-- chunks. Scripts do not know the rules: they let a chunk be looked at soon after one of its
-- contacts has come into a state from which there may be a rung. campaign.NextRung decides
-- then, and the act climb writes down what it has decided.
--
-- The campaign's field rungs says "soon most states": ms until the look, the most rungs of a
-- contact, and the states, a digit each. It is empty when the campaign has no rungs.

local RUNGS_SETTLED = 5000 -- ms until the look when nothing of the chunk is under way

local function countRungs(tally, rungs)
  local chunks = redis.call('ZCARD', rungs)
  if chunks > 0 then redis.call('HSET', tally, 'rungs', chunks) else redis.call('HDEL', tally, 'rungs') end
  return chunks
end

-- expectRungs lets a chunk be looked at after changes of its contacts, each {index, old
-- records, new records}. Where an event says more of a contact that the platform has, one
-- that had no rung to come stays without.
local function expectRungs(spec, tally, rungs, number, changes, size, evidence, settled, now)
  local soon, most, states = string.match(spec, '^(%d+) (%d+) (%d+)$')
  if not soon then return end
  local is, may = false, false
  for _, change in ipairs(changes) do
    local old, new = change[2], change[3]
    if string.find(states, string.byte(new, 1), 1, true) and math.floor(string.byte(new, size) / 8) < tonumber(most) then
      if string.find(evidence, string.sub(old, 1, 1), 1, true) then may = true else is = true end
    end
  end
  local at = string.format('%.0f', now + (settled and math.min(tonumber(soon), RUNGS_SETTLED) or tonumber(soon)))
  if is then
    redis.call('ZADD', rungs, 'LT', at, number)
    countRungs(tally, rungs)
  elseif may then
    redis.call('ZADD', rungs, 'XX', 'LT', at, number)
  end
end

-- seeRungs writes down what a look has found: "next waiting open"; next is '' when no rung
-- of the chunk is to come.
local function seeRungs(tally, rungs, seen, number, found)
  local next, waiting, open = string.match(found, '^(%d*) (%d+) (%d+)$')
  if next == '' then
    redis.call('ZREM', rungs, number)
    redis.call('HDEL', seen, number)
  else
    redis.call('ZADD', rungs, next, number)
    redis.call('HSET', seen, number, waiting .. ' ' .. open)
  end
  countRungs(tally, rungs)
end

-- endIfOver writes down when the campaign had nothing left to do.
local function endIfOver(campaign, open, rungs, now)
  if redis.call('ZCARD', open) == 0 and redis.call('ZCARD', rungs) == 0 then
    redis.call('HSET', campaign, 'ended_at', string.format('%.0f', now))
  end
end

-- dropRungs ends all rungs to come.
local function dropRungs(campaign, open, tally, rungs, seen, now)
  if redis.call('DEL', rungs) == 0 then return end
  redis.call('DEL', seen)
  redis.call('HDEL', tally, 'rungs')
  endIfOver(campaign, open, rungs, now)
end
