-- KEYS[3] the entry, KEYS[4..] its tags; ARGV: 2 token, 3 how long it holds, 4 a record with the token
-- and no value, 5 how long to keep the tags, ms.
for i = 4, #KEYS do
  ensure_tag(KEYS[i], tonumber(ARGV[5]))
end
local flags = redis.pcall('GETRANGE', KEYS[3], 4, 4)
if type(flags) == 'string' and #flags == 1 and string.byte(flags) % 2 == 1 then
  redis.call('SETRANGE', KEYS[3], 8, ARGV[2] .. struct.pack('>I8', ms + tonumber(ARGV[3])))
  if redis.call('PTTL', KEYS[3]) < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[3], ARGV[3])
  end
else
  redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[3])
end
return answer()
