-- A soft invalidation of an entry, where keys lie apart: its lease is cleared, and it is marked; a lease without a
-- value, and what is no entry, goes.
local head = header()
if head and has_value(head) then
  redis.call('SETRANGE', KEYS[1], 8, string.rep('\0', 24) .. '\255\255\255\255')
else
  redis.call('UNLINK', KEYS[1])
end
return 1
