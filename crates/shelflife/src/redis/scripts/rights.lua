-- ARGV: commands, each as the number of its words and then these. Answers a letter for each: y or n for
-- whether the user may run it, ? for what the server does not know. Nothing is run.
local said, at = {}, 1
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  local known, may = pcall(redis.acl_check_cmd, unpack(ARGV, at + 1, at + words))
  said[#said + 1] = known and (may and 'y' or 'n') or '?'
  at = at + words + 1
end
return table.concat(said)
