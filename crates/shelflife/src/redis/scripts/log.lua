-- ARGV: 2.. what goes into the log, about entries that lie elsewhere. Answers the tick before it, too.
local before, body = tick, {}
for i = 2, #ARGV do
  body[#body + 1] = ARGV[i]
end
bump(body)
return answer(digits(before))
