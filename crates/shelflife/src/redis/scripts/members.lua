-- KEYS: 3 since when the list of members is kept, in which incarnation and on which primary, 4 members
-- by applied tick, 5 members by last beat.
-- Answers that time, or '' for none, then of each member its name, applied tick and last beat.
local since, of, on = string.match(read(KEYS[3]) or '', '^(%d+) (%x+) (%x*)$')
local beats = redis.pcall('ZRANGE', KEYS[5], 0, -1, 'WITHSCORES')
-- The mark may outlive its list, which was lost alone; or both have come from elsewhere (beat.lua).
local ours = of == inc and on == replid and #beats > 0
local list = answer(ours and since or '')
for i = 1, #beats, 2 do
  local applied = ours and redis.pcall('ZSCORE', KEYS[4], beats[i])
  list[#list + 1] = beats[i]
  list[#list + 1] = digits(type(applied) == 'string' and tonumber(applied) or -1)
  list[#list + 1] = digits(tonumber(beats[i + 1]))
end
return list
