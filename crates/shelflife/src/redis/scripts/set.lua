-- KEYS[3..]: for each entry the entry, then its tags. ARGV: 2 the origin for the log; 3 and 4 an epoch that
-- was the clock, or the server's time, before the call began; 5 'first' or 'last'; for each entry, from 6
-- on, how many tags, the record, how long to keep it, how long to keep the tags, its key for the log.
-- PROTOCOL §7, both steps in one. The value counts from when the call began: stored is what nothing has named
-- since, so that it counts as well from the clock, which is written into the record here. The first time, if
-- that can't be shown of all, nothing is done, and the server's time is told in µs. The last time, what it
-- can't be shown of is removed: the set came first, and the invalidation after it. Any lease is gone with what
-- stood there before; then the keys are logged, as set: of two sets the later one stays.
local since_inc, since, last = ARGV[3], as_tick(ARGV[4]), ARGV[5] == 'last'
-- How many entries of the log are looked at, how many of their fields, and how many entries at once.
local ENTRIES, FIELDS, PAGE = 64, 4096, 16
-- Fields that name nothing which was invalidated. A note (w) says that not everything is here.
local SILENT = {s = true, o = true, e = true, d = true, a = true}

-- What an entry of the log names, added to what others do; whether it could be read, and lies right behind
-- the tick `at`.
local function add_named(named, fields, at)
  local of, before, before_tick
  for i = 1, #fields, 2 do
    local field, text = fields[i], fields[i + 1]
    if field == 'i' then
      of = text
    elseif field == 'p' then
      before, before_tick = string.match(text, '^(%x+):(%d+)$')
    elseif field == 'k' or field == 'K' then
      named.keys[text] = true
    elseif field == 't' or field == 'T' then
      named.tags[text] = true
    elseif field == 'g' or field == 'G' then
      -- A scan, or one that has been announced. What every match begins with.
      table.insert(named.heads, string.match(text, '^[^*?%[\\]*'))
    elseif not SILENT[field] then
      return false
    end
  end
  before_tick = as_tick(before_tick)
  return of == inc and before == inc and before_tick and before_tick <= at
end

-- All that the log names since then; nil when that can't be told, or not with little work.
local function named_since()
  local named = {keys = {}, tags = {}, heads = {}}
  if since_inc ~= inc or not since then
    return nil
  end
  if since > tick and not last then
    -- A clock that was, and is ahead of the clock: what was between is lost.
    return nil
  end
  local at, entries, fields = since, 0, 0
  while at < tick do
    local page = redis.pcall('XRANGE', KEYS[2], '(' .. digits(at) .. '-18446744073709551615', '+', 'COUNT', PAGE)
    if page.err or #page == 0 then
      return nil
    end
    for _, entry in ipairs(page) do
      entries, fields = entries + 1, fields + #entry[2]
      local id = as_tick(string.match(entry[1], '^(%d+)-0$'))
      if not id or entries > ENTRIES or fields > FIELDS or not add_named(named, entry[2], at) then
        return nil
      end
      at = id
    end
  end
  return named
end

local named = named_since()
local tag_prefix = #KEYS[1] - #'clock' + #'t:'

-- Whether an entry is named, whose tags are so many keys behind the one at `at`.
local function is_named(key, at, tags)
  if not named or named.keys[key] then
    return true
  end
  for i = at + 1, at + tags do
    if named.tags[string.sub(KEYS[i], tag_prefix + 1)] then
      return true
    end
  end
  for _, head in ipairs(named.heads) do
    if string.sub(key, 1, #head) == head then
      return true
    end
  end
  return false
end

local overtaken, any, at, arg = {}, false, 3, 6
while at <= #KEYS do
  local tags, key = tonumber(ARGV[arg]), ARGV[arg + 4]
  overtaken[#overtaken + 1] = is_named(key, at, tags)
  any = any or overtaken[#overtaken]
  at, arg = at + 1 + tags, arg + 5
end
if any and not last then
  return answer((inc == ARGV[1] and 'begun ' or 'moved ') .. digits(time))
end

local hex_to_bytes = function(hex)
  return (string.gsub(hex, '%x%x', function(pair) return string.char(tonumber(pair, 16)) end))
end
local epoch = hex_to_bytes(inc) .. struct.pack('>I8', tick)
local complement = string.gsub(epoch, '.', function(c) return string.char(255 - string.byte(c)) end)
local body, stored = {'o', ARGV[2]}, {}
at, arg = 3, 6
while at <= #KEYS do
  local tags, record, keep, keep_tags = tonumber(ARGV[arg]), ARGV[arg + 1], ARGV[arg + 2], tonumber(ARGV[arg + 3])
  if overtaken[#stored + 1] then
    redis.call('UNLINK', KEYS[at])
    stored[#stored + 1] = '0'
  else
    for i = at + 1, at + tags do
      ensure_tag(KEYS[i], keep_tags)
    end
    redis.call('SET', KEYS[at], string.sub(record, 1, 40) .. epoch .. complement .. string.sub(record, 73), 'PX', keep)
    stored[#stored + 1] = '1'
  end
  body[#body + 1] = 's'
  body[#body + 1] = ARGV[arg + 4]
  at, arg = at + 1 + tags, arg + 5
end
bump(body)
return answer(table.concat(stored))
