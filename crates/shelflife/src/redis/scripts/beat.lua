-- KEYS: 3 when the list of members began, 4 members by applied tick, 5 members by last beat;
-- ARGV: 2 the member, 3 the incarnation it has applied ('' for none), 4 the tick, 5 how long a silent
-- member is listed, ms.
-- A write, so that only a primary answers. Its answer is the position of a resync, too.
if redis.call('EXISTS', KEYS[3]) == 0 or redis.call('EXISTS', KEYS[5]) == 0 then
  -- The list is new: it may be incomplete until every process that lives has had time to beat.
  redis.call('SET', KEYS[3], digits(ms))
end
local silent = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', digits(ms - tonumber(ARGV[5])))
for _, member in ipairs(silent) do
  redis.call('ZREM', KEYS[4], member)
  redis.call('ZREM', KEYS[5], member)
end
redis.call('ZADD', KEYS[4], ARGV[3] == inc and ARGV[4] or '-1', ARGV[2])
redis.call('ZADD', KEYS[5], digits(ms), ARGV[2])
return answer(digits(last_logged()))
