#!lua flags=no-writes
-- KEYS: 1 the clock, 2.. entries. ARGV[1]: what a tag's key begins with.
-- Clock, entries and the records of all their tags in one step.
local raw = redis.call('MGET', unpack(KEYS))
local order, seen = {}, {}
for i = 2, #KEYS do
  local record = raw[i]
  if record and #record >= 128 and string.sub(record, 1, 4) == 'SLF\1' then
    local pos = 129
    for _ = 1, struct.unpack('>I2', record, 125) do
      if pos + 1 > #record then break end
      local len = struct.unpack('>I2', record, pos)
      local tag = string.sub(record, pos + 2, pos + 1 + len)
      pos = pos + 2 + len
      if not seen[tag] then
        seen[tag] = true
        order[#order + 1] = tag
      end
    end
  end
end
local records = {}
for i, tag in ipairs(order) do
  local got = redis.pcall('GET', ARGV[1] .. tag)
  records[i] = type(got) == 'string' and got or false
end
return {raw, order, records}
