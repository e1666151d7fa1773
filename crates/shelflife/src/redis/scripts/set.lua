-- KEYS[3..]: for each entry the entry, then its tags. ARGV: 2 the origin for the log; 3 to 7 as in named.lua; for each
-- entry, from 8 on, the tick from which it counts, how many tags, the record, how long to keep it, how long to keep the
-- tags, its key for the log.
-- PROTOCOL §7, both steps in one. A value counts from when its call began: stored is what nothing has named
-- since, so that it counts as well from the clock, which is written into the record here. The first time, if
-- that can't be shown of all, nothing is done, and the server's time is told in µs. The last time, what it
-- can't be shown of is removed: the set came first, and the invalidation after it. Any lease is gone with what
-- stood there before; then the keys are logged, as set: of two sets the later one stays.
local EACH = 6
local overtaken, any, at, arg = {}, false, 3, 8
while at <= #KEYS do
  local called, tags, key = as_tick(ARGV[arg]), tonumber(ARGV[arg + 1]), ARGV[arg + 5]
  overtaken[#overtaken + 1] = is_named(key, at, tags, called)
  any = any or overtaken[#overtaken]
  at, arg = at + 1 + tags, arg + EACH
end
if any and not last then
  return answer((inc == ARGV[1] and 'begun ' or 'moved ') .. digits(time))
end

local hex_to_bytes = function(hex)
  return (string.gsub(hex, '%x%x', function(pair) return string.char(tonumber(pair, 16)) end))
end
local epoch = hex_to_bytes(inc) .. struct.pack('>I8', tick)
local complement = string.gsub(epoch, '.', function(c) return string.char(255 - string.byte(c)) end)
local body, stored = {'o', ARGV[2]}, {}
at, arg = 3, 8
while at <= #KEYS do
  local tags, record, keep, keep_tags = tonumber(ARGV[arg + 1]), ARGV[arg + 2], ARGV[arg + 3], tonumber(ARGV[arg + 4])
  if overtaken[#stored + 1] then
    redis.call('UNLINK', KEYS[at])
    stored[#stored + 1] = '0'
  else
    for i = at + 1, at + tags do
      ensure_tag(KEYS[i], keep_tags)
    end
    redis.call('SET', KEYS[at], string.sub(record, 1, 40) .. epoch .. complement .. string.sub(record, 73), 'PX', keep)
    stored[#stored + 1] = '1'
  end
  body[#body + 1] = 's'
  body[#body + 1] = ARGV[arg + 5]
  at, arg = at + 1 + tags, arg + EACH
end
local before = tick
bump(body)
return answer(table.concat(stored) .. ' ' .. digits(before))
