-- Cohorts: the contacts of a campaign whose requests were accepted within one minute, and
-- what events have told of them since. The guards of the answers go by them.
--
-- One hash. since: the time from which on contacts count, in Unix seconds. last: when the
-- last contact ever was reached: those of a new start begin a second later, so that they
-- are not taken for one another. minutes: each cohort, the oldest first, as "minute reached answered ended opted;". first, full,
-- first_reached, first_answered, first_opted: when the first thousand contacts ever began
-- and in which minute they were full, and what was told of them. quiet, quiet_at: contacts
-- accepted since the last event, and when enough of them had been, in ms.

local REACHED, ANSWERED, ENDED, OPTED = 2, 3, 4, 5
local FEWEST, MOST = 100, 1000 -- contacts that a share is judged by
local ANSWER_WITHIN = 3600     -- seconds after which a cohort counts, whatever is still to come
local QUIET_FEWEST = 10        -- contacts that are missed

local function cohortsOf(minutes)
  local all = {}
  for minute, reached, answered, ended, opted in string.gmatch(minutes, '(%d+) (%d+) (%d+) (%d+) (%d+);') do
    all[#all + 1] = {tonumber(minute), tonumber(reached), tonumber(answered), tonumber(ended), tonumber(opted)}
  end
  return all
end

-- startCohorts lets contacts count from now on, and forgets the earlier ones, except the
-- first thousand.
local function startCohorts(key)
  redis.call('HDEL', key, 'since', 'minutes', 'quiet', 'quiet_at')
end

-- pruneCohorts are the cohorts that may still be judged: the young ones, and before them
-- enough old ones.
local function pruneCohorts(all, now)
  local old, first = 0, #all
  while first > 1 and old < MOST do
    if (all[first][1] + 1) * 60 + ANSWER_WITHIN <= now then old = old + all[first][REACHED] end
    if old < MOST then first = first - 1 end
  end
  local kept = {}
  for i = first, #all do kept[#kept + 1] = all[i] end
  return kept
end

-- tellCohorts counts what was told: a list of {seconds, what, contacts}, where seconds is
-- when the contacts were reached. now, in seconds, is given when contacts were reached.
local function tellCohorts(key, told, now)
  local kept = redis.call('HMGET', key, 'since', 'minutes', 'first', 'full', 'first_reached', 'last')
  local since, first, full, total, last = tonumber(kept[1]), tonumber(kept[3]), tonumber(kept[4]), tonumber(kept[5] or '0'), tonumber(kept[6] or '0')
  if now then
    local earliest, latest = told[1][1], last
    for _, t in ipairs(told) do earliest, latest = math.min(earliest, t[1]), math.max(latest, t[1]) end
    since = since or math.max(earliest, last + 1)
    first = first or since
    redis.call('HSET', key, 'since', since, 'first', first, 'last', latest)
  end
  if not since then return end
  local all, firsts = cohortsOf(kept[2] or ''), {}
  for _, t in ipairs(told) do
    local minute, what, contacts = math.floor(t[1] / 60), t[2], t[3]
    if t[1] >= first and (not full or minute <= full) then
      firsts[what] = (firsts[what] or 0) + contacts
      if what == REACHED then
        total = total + contacts
        if total >= MOST and not full then
          full = math.max(minute, all[#all] and all[#all][1] or 0)
          redis.call('HSET', key, 'full', full)
        end
      end
    end
    local at = #all
    while at > 0 and all[at][1] > minute do at = at - 1 end
    if t[1] >= since and what == REACHED and (at == 0 or all[at][1] < minute) then
      at = at + 1
      table.insert(all, at, {minute, 0, 0, 0, 0})
    end
    if t[1] >= since and at > 0 and all[at][1] == minute then
      all[at][what] = all[at][what] + contacts
    end
  end
  if now then all = pruneCohorts(all, now) end
  for i, c in ipairs(all) do all[i] = table.concat(c, ' ') .. ';' end
  redis.call('HSET', key, 'minutes', table.concat(all))
  for what, name in pairs({[REACHED] = 'first_reached', [ANSWERED] = 'first_answered', [OPTED] = 'first_opted'}) do
    if firsts[what] then redis.call('HINCRBY', key, name, firsts[what]) end
  end
end

-- missCohorts counts contacts that were accepted, as contacts of which an event is to come.
local function missCohorts(key, accepted, now)
  local quiet = redis.call('HINCRBY', key, 'quiet', accepted)
  if quiet >= QUIET_FEWEST then redis.call('HSETNX', key, 'quiet_at', string.format('%.0f', now)) end
end

-- judgeCohorts says which guard a campaign has tripped, or nil: "guard token contacts
-- answered ended opted from full first_reached first_answered first_opted". from is the
-- minute of the oldest of these contacts, full that of the last of the first thousand, or 0. guards are the most
-- that may opt out and the fewest that must answer, in ten-thousandths, and the longest
-- silence in ms; 0: no such guard.
--
-- A share is that of the latest contacts of whom all is told that will be: of the cohorts
-- before the first in which a conversation is still open and may be answered. Opting out
-- can also be too frequent with the younger ones counted, which only adds contacts who
-- have had little time for it.
local function judgeCohorts(key, guards, now)
  local optout, answer, silence = string.match(guards, '^(%d+) (%d+) (%d+)$')
  optout, answer, silence = tonumber(optout), tonumber(answer), tonumber(silence)
  local kept = redis.call('HMGET', key, 'since', 'minutes', 'quiet', 'quiet_at', 'full', 'first_reached', 'first_answered', 'first_opted')
  if not kept[1] then return nil end
  local function tell(guard, token, c, from)
    return table.concat({guard, token, c[REACHED], c[ANSWERED], c[ENDED], c[OPTED], from, kept[5] or 0, kept[6] or 0, kept[7] or 0, kept[8] or 0}, ' ')
  end
  if silence > 0 and kept[4] and now - tonumber(kept[4]) >= silence then
    return tell('silence', kept[4], {0, kept[3], 0, 0, 0}, 0)
  end
  local all = cohortsOf(kept[2] or '')
  local settled = 0
  for i, c in ipairs(all) do
    if c[ENDED] < c[REACHED] and (c[1] + 1) * 60 + ANSWER_WITHIN > now / 1000 then break end
    settled = i
  end
  local latest, from = {0, 0, 0, 0, 0}, settled + 1
  local function add(c)
    for what = REACHED, OPTED do latest[what] = latest[what] + c[what] end
  end
  while from > 1 and latest[REACHED] < MOST do
    from = from - 1
    add(all[from])
  end
  local minute = all[from] and all[from][1] or 0
  local function outed() return latest[REACHED] >= FEWEST and latest[OPTED] * 10000 > optout * latest[REACHED] end
  if optout > 0 and outed() then return tell('optout', kept[1], latest, minute) end
  if answer > 0 and latest[REACHED] >= FEWEST and latest[ANSWERED] * 10000 < answer * latest[REACHED] then
    return tell('answer', kept[1], latest, minute)
  end
  for i = settled + 1, #all do add(all[i]) end
  if optout > 0 and outed() then return tell('optout', kept[1], latest, minute) end
  return nil
end

