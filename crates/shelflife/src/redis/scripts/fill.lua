-- KEYS[3] the entry, KEYS[4..] its tags; ARGV: 2 token, 3 and 4 the record's epoch, 5 record,
-- 6 how long to keep it, 7 how long to keep the tags, ms.
-- PROTOCOL §4 steps 6 and 7 in one: nothing newer than the epoch, then the token, then the record.
local since, keep = tonumber(ARGV[4]), tonumber(ARGV[7])
local newer = inc ~= ARGV[3]
for i = 4, #KEYS do
  local hard, soft = ensure_tag(KEYS[i], keep)
  newer = newer or hard > since or soft > since
end
local ours = token(KEYS[3]) == ARGV[2]
if newer then
  if ours then
    release(KEYS[3])
  end
  return answer('overtaken')
end
if not ours then
  return answer('lost')
end
redis.call('SET', KEYS[3], ARGV[5], 'PX', ARGV[6])
return answer('stored')
