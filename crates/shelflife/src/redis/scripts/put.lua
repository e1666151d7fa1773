-- ARGV: 1 token, 2 record, 3 how long to keep it, ms, 4 'write', or else. The record only while the token stands; else,
-- of an announced write, nothing may stay: the old value is still there.
local head = header()
if head and string.sub(head, 9, 24) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
if ARGV[4] == 'write' then
  redis.call('UNLINK', KEYS[1])
end
return 0
