-- KEYS[3..] tags; ARGV: 2 and 3 the epoch from which a value counts, 4 how long to keep the tags, ms.
-- PROTOCOL §4 step 6, where keys lie apart. Answers whether something newer than the epoch names the value.
local since, keep = tonumber(ARGV[3]), tonumber(ARGV[4])
local newer = inc ~= ARGV[2]
for i = 3, #KEYS do
  local hard, soft = ensure_tag(KEYS[i], keep)
  newer = newer or hard > since or soft > since
end
return answer(newer and 'overtaken' or 'known')
