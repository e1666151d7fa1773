-- KEYS: 3 when the list of members began, and in which incarnation, 4 members by applied tick,
-- 5 members by last beat.
-- Answers that time, or '' for none, then of each member its name, applied tick and last beat.
local since, of = string.match(read(KEYS[3]) or '', '^(%d+) (%x+)$')
local ours = of == inc
local list = answer(ours and since or '')
local beats = redis.call('ZRANGE', KEYS[5], 0, -1, 'WITHSCORES')
for i = 1, #beats, 2 do
  list[#list + 1] = beats[i]
  list[#list + 1] = digits(tonumber(ours and redis.call('ZSCORE', KEYS[4], beats[i]) or -1))
  list[#list + 1] = digits(tonumber(beats[i + 1]))
end
return list
