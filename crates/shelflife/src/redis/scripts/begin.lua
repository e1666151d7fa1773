-- ARGV: 1 what was seen where the fill id stands, 2 token, 3 how long the lease holds, ms, 4 a record
-- with the lease and no value.
local lease = tonumber(ARGV[3])
local head = header()
if not head or #head < 128 or string.sub(head, 1, 4) ~= 'SLF\1' then
  redis.call('SET', KEYS[1], ARGV[4], 'PX', lease)
  return head and 'granted' or 'replaced'
end
if string.sub(head, 81, 88) ~= ARGV[1] then
  return 'changed'
end
-- A lease that is ours already is granted again: the read that placed it may have been repeated.
local token = string.sub(head, 9, 24)
local held = token ~= NO_TOKEN and token ~= ARGV[2]
if held and has_value(head) then
  -- A deadline further away than any lease is damage, not a lease.
  local deadline = struct.unpack('>I8', head, 25)
  held = deadline > ms and deadline < ms + 600000
end
if held and not has_value(head) and redis.call('PTTL', KEYS[1]) < 0 then
  -- Nobody's lease is without an end.
  held = false
end
if held then
  return 'held'
end
place(head, ARGV[2], lease)
return 'granted'
