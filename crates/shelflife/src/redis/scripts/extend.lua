-- ARGV: 1 token, 2 how long the lease holds from now, ms. By compare; never recreates it.
local head = header()
if not head or string.sub(head, 9, 24) ~= ARGV[1] then
  return 0
end
place(head, ARGV[1], tonumber(ARGV[2]))
return 1
