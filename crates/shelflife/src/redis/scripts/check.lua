-- A plain set where keys lie apart, between its tokens and its values: KEYS[3..]: of each entry its tags. ARGV: 2 the
-- origin; 3 to 5 as in named.lua; for each entry, from 6 on, how many tags, how long to keep these, its key.
-- The first time, if of any it can't be shown that nothing has named it since, nothing is done, and the server's time
-- is told in µs. Else of each whether it may be stored, counting from the clock that is answered.
local verdicts, any, at, arg = {}, false, 3, 6
while arg <= #ARGV do
  local tags, key = tonumber(ARGV[arg]), ARGV[arg + 2]
  local overtaken = is_named(key, at - 1, tags)
  verdicts[#verdicts + 1] = overtaken and '0' or '1'
  any = any or overtaken
  at, arg = at + tags, arg + 3
end
if any and not last then
  return answer((inc == ARGV[1] and 'begun ' or 'moved ') .. digits(time))
end
at, arg = 3, 6
while arg <= #ARGV do
  for i = at, at + tonumber(ARGV[arg]) - 1 do
    ensure_tag(KEYS[i], tonumber(ARGV[arg + 1]))
  end
  at, arg = at + tonumber(ARGV[arg]), arg + 3
end
return answer(table.concat(verdicts))
