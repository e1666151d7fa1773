-- KEYS[3..] entries, then tags; ARGV: 2 how many entries, 3 'soft' or 'hard', 4 how long to keep the
-- tags, 5.. what goes into the log.
-- PROTOCOL §5: entries first, then the bump and the log, then the tags.
local entries, soft, keep = tonumber(ARGV[2]), ARGV[3] == 'soft', tonumber(ARGV[4])
for i = 3, 2 + entries do
  local flags = redis.pcall('GETRANGE', KEYS[i], 4, 4)
  local has_value = type(flags) == 'string' and #flags == 1 and string.byte(flags) % 2 == 1
  if soft and has_value then
    -- The token, its deadline, and the soft mark.
    redis.call('SETRANGE', KEYS[i], 8, string.rep('\0', 24) .. '\255\255\255\255')
  else
    redis.call('UNLINK', KEYS[i])
  end
end
local body = {}
for i = 5, #ARGV do
  body[#body + 1] = ARGV[i]
end
bump(body)
for i = 3 + entries, #KEYS do
  local hard, was_soft = tag_record(KEYS[i])
  if not hard then
    write_tag(KEYS[i], tick, 0, keep)
  else
    local left = math.max(redis.call('PTTL', KEYS[i]), keep)
    if soft then
      write_tag(KEYS[i], hard, math.max(was_soft, tick), left)
    else
      write_tag(KEYS[i], math.max(hard, tick), was_soft, left)
    end
  end
end
return answer()
