-- KEYS[3..]: for each entry the entry, then its tags. ARGV: 2 the origin for the log; for each entry, from
-- 3 on, how many tags, the record, how long to keep it, how long to keep the tags, its key for the log.
-- PROTOCOL §7, both steps in one: the epoch is the clock, written into the record here; any lease is
-- gone with what stood there before; then the keys are logged.
local hex_to_bytes = function(hex)
  return (string.gsub(hex, '%x%x', function(pair) return string.char(tonumber(pair, 16)) end))
end
local epoch = hex_to_bytes(inc) .. struct.pack('>I8', tick)
local complement = string.gsub(epoch, '.', function(c) return string.char(255 - string.byte(c)) end)
local body, key, arg = {'o', ARGV[2]}, 3, 3
while key <= #KEYS do
  local tags, record, keep, keep_tags = tonumber(ARGV[arg]), ARGV[arg + 1], ARGV[arg + 2], tonumber(ARGV[arg + 3])
  for i = key + 1, key + tags do
    ensure_tag(KEYS[i], keep_tags)
  end
  redis.call('SET', KEYS[key], string.sub(record, 1, 40) .. epoch .. complement .. string.sub(record, 73), 'PX', keep)
  body[#body + 1] = 'k'
  body[#body + 1] = ARGV[arg + 4]
  key, arg = key + 1 + tags, arg + 5
end
bump(body)
return answer()
