-- KEYS[3..] tags; ARGV[2] how long to keep them, ms.
local keep = tonumber(ARGV[2])
for i = 3, #KEYS do
  ensure_tag(KEYS[i], keep)
end
return answer()
