-- A plain set where keys lie apart, between its tokens and its values: KEYS[3..]: of each entry its tags. ARGV: 2 the
-- origin; 3 to 7 as in named.lua; for each entry, from 8 on, the tick from which it counts, how many tags, how long to
-- keep these, its key.
-- The first time, if of any it can't be shown that nothing has named it since, nothing is done, and the server's time
-- is told in µs. Else of each whether it may be stored, counting from the clock that is answered.
local verdicts, any, at, arg = {}, false, 3, 8
while arg <= #ARGV do
  local called, tags, key = as_tick(ARGV[arg]), tonumber(ARGV[arg + 1]), ARGV[arg + 3]
  local overtaken = is_named(key, at - 1, tags, called)
  verdicts[#verdicts + 1] = overtaken and '0' or '1'
  any = any or overtaken
  at, arg = at + tags, arg + 4
end
if any and not last then
  return answer((inc == ARGV[1] and 'begun ' or 'moved ') .. digits(time))
end
at, arg = 3, 8
while arg <= #ARGV do
  local tags = tonumber(ARGV[arg + 1])
  for i = at, at + tags - 1 do
    ensure_tag(KEYS[i], tonumber(ARGV[arg + 2]))
  end
  at, arg = at + tags, arg + 4
end
return answer(table.concat(verdicts))
