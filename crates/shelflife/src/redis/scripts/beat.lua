-- KEYS: 3 since when the list of members is kept, in which incarnation and on which primary, 4 members
-- by applied tick, 5 members by last beat; ARGV: 2 the member, 3 the incarnation it has applied ('' for
-- none), 4 the tick.
-- A write, so that only a primary answers. Its answer is the position of a resync, too.

-- How long a silent member stays listed, in windows of its own; the longest window, ms.
local LISTED, LONGEST = 60, 3600 * 1000

for i = 4, 5 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'zset' and kind ~= 'none' then
    redis.call('DEL', KEYS[i])
  end
end
local since, of, on = string.match(read(KEYS[3]) or '', '^(%d+) (%x+) (%x*)$')
local ours = of == inc and on == replid
if not ours then
  -- What was applied in another incarnation says nothing in this one, least of all if it is a later
  -- tick. And on another primary, or before a restart from disk, members were listed that are not here:
  -- they joined or beat after what was copied, or their beats look old by another clock.
  redis.call('DEL', KEYS[4], KEYS[5])
end
if not ours or tonumber(since) > ms or redis.call('EXISTS', KEYS[5]) == 0 then
  -- The list is new: it may be incomplete until every process that lives has had time to beat.
  redis.call('SET', KEYS[3], digits(ms) .. ' ' .. inc .. ' ' .. replid)
end
-- Beats of a time to come: the server's clock was set back. As old as now, they end as others do.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '(' .. digits(ms), '+inf')) do
  redis.call('ZADD', KEYS[5], digits(ms), member)
end
local function window(member)
  local delta = tonumber(string.match(member, '@(%d+)$'))
  return delta and math.min(delta, LONGEST)
end
local silent = digits(ms - LISTED * (window(ARGV[2]) or 0))
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', silent)) do
  local delta = window(member)
  if not delta or tonumber(redis.call('ZSCORE', KEYS[5], member)) <= ms - LISTED * delta then
    redis.call('ZREM', KEYS[4], member)
    redis.call('ZREM', KEYS[5], member)
  end
end
redis.call('ZADD', KEYS[4], ARGV[3] == inc and ARGV[4] or '-1', ARGV[2])
redis.call('ZADD', KEYS[5], digits(ms), ARGV[2])
local last = last_logged()
if last > tick then
  -- A foreign entry beyond the clock: whoever follows from the clock finds a gap there, again and again.
  log(math.max(time, last + 1), inc .. ':' .. digits(tick), {'w', 'jump'})
  last = tick
end
return answer(digits(last))
