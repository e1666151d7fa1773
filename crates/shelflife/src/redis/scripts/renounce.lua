-- KEYS[1] the clock; ARGV[1] the incarnation that is to end, if it is still that one.
-- The next control script finds no clock, and begins another.
local got = redis.pcall('GET', KEYS[1])
if type(got) == 'string' and string.sub(got, 1, 16) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 1
