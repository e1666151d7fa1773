-- KEYS: 3 when the list of members began, and in which incarnation, 4 members by applied tick,
-- 5 members by last beat; ARGV: 2 the member, 3 the incarnation it has applied ('' for none), 4 the tick, 5 how long a silent
-- member is listed, ms.
-- A write, so that only a primary answers. Its answer is the position of a resync, too.
local of = string.match(read(KEYS[3]) or '', '^%d+ (%x+)$')
if of ~= inc then
  -- What was applied in another incarnation says nothing in this one, least of all if it is a later tick.
  redis.call('DEL', KEYS[4], KEYS[5])
end
if of ~= inc or redis.call('EXISTS', KEYS[5]) == 0 then
  -- The list is new: it may be incomplete until every process that lives has had time to beat.
  redis.call('SET', KEYS[3], digits(ms) .. ' ' .. inc)
end
local silent = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', digits(ms - tonumber(ARGV[5])))
for _, member in ipairs(silent) do
  redis.call('ZREM', KEYS[4], member)
  redis.call('ZREM', KEYS[5], member)
end
redis.call('ZADD', KEYS[4], ARGV[3] == inc and ARGV[4] or '-1', ARGV[2])
redis.call('ZADD', KEYS[5], digits(ms), ARGV[2])
return answer(digits(last_logged()))
