-- KEYS[3] the entry, KEYS[4..] its tags; ARGV: 2 token, 3 record, 4 how long to keep it, 5 how long to
-- keep the tags, 6 its key and 7 the origin for the log. The record only while the token stands; else
-- nothing may stay.
for i = 4, #KEYS do
  ensure_tag(KEYS[i], tonumber(ARGV[5]))
end
local stored = token(KEYS[3]) == ARGV[2]
if stored then
  redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
else
  redis.call('UNLINK', KEYS[3])
end
bump({'o', ARGV[7], 'k', ARGV[6]})
return answer(stored and 'stored' or 'lost')
