-- ARGV: 1 token, 2 record, 3 how long to keep it, ms, 4 'write' or 'fill'. The record only while the token stands; else,
-- of a write, nothing may stay.
local head = header()
if head and string.sub(head, 9, 24) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
if ARGV[4] == 'write' then
  redis.call('UNLINK', KEYS[1])
end
return 0
