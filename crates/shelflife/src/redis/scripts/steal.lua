-- ARGV: 1 token, 2 how long it holds, ms, 3 a record with the token and no value. Whoever had a lease has none now.
local head, holds = header(), tonumber(ARGV[2])
if head and has_value(head) then
  redis.call('SETRANGE', KEYS[1], 8, ARGV[1] .. struct.pack('>I8', ms + holds))
  if redis.call('PTTL', KEYS[1]) < holds then
    redis.call('PEXPIRE', KEYS[1], holds)
  end
else
  redis.call('SET', KEYS[1], ARGV[3], 'PX', holds)
end
return 1
