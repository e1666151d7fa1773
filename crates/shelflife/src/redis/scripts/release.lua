-- ARGV: 1 token.
local head = header()
if not head or string.sub(head, 9, 24) ~= ARGV[1] then
  return 0
end
if has_value(head) then
  redis.call('SETRANGE', KEYS[1], 8, string.rep('\0', 24))
else
  redis.call('UNLINK', KEYS[1])
end
return 1
