-- KEYS[3..]: for each entry the entry, then its tags. ARGV: 2 the origin for the log; 3 the incarnation of the
-- ticks; 4 'first' or 'last'; 5 where the log is known to hold only sets, as 'from:to ' in ticks, in their order; for each
-- entry, from 6 on, a tick that was the clock's, or the server's time, before
-- its call began, how many tags, the record, how long to keep it, how long to keep the tags, its key for the log.
-- PROTOCOL §7, both steps in one. A value counts from when its call began: stored is what nothing has named
-- since, so that it counts as well from the clock, which is written into the record here. The first time, if
-- that can't be shown of all, nothing is done, and the server's time is told in µs. The last time, what it
-- can't be shown of is removed: the set came first, and the invalidation after it. Any lease is gone with what
-- stood there before; then the keys are logged, as set: of two sets the later one stays.
local since_inc, last = ARGV[3], ARGV[4] == 'last'
local EACH = 6
-- The ticks of the oldest call and of the youngest; nil when one is none.
local since, newest
for arg = 6, #ARGV, EACH do
  local called = as_tick(ARGV[arg])
  if not called then
    since = nil
    break
  end
  since, newest = math.min(since or called, called), math.max(newest or called, called)
end
-- How many entries of the log are looked at, how many of their fields, and how many entries at once.
local ENTRIES, FIELDS, PAGE = 64, 4096, 16
-- Fields that name nothing which was invalidated. A note (w) says that not everything is here.
local SILENT = {s = true, o = true, e = true, d = true, a = true}

-- What an entry of the log names, added with its tick to what others do; whether it could be read, and lies
-- right behind the tick `at`.
local function add_named(named, fields, id, at)
  local of, before, before_tick
  for i = 1, #fields, 2 do
    local field, text = fields[i], fields[i + 1]
    if field == 'i' then
      of = text
    elseif field == 'p' then
      before, before_tick = string.match(text, '^(%x+):(%d+)$')
    elseif field == 'k' or field == 'K' then
      named.keys[text] = id
    elseif field == 't' or field == 'T' then
      named.tags[text] = id
    elseif field == 'g' or field == 'G' then
      -- A scan, or one that has been announced. What every match begins with.
      table.insert(named.heads, {string.match(text, '^[^*?%[\\]*'), id})
    elseif not SILENT[field] then
      return false
    end
  end
  before_tick = as_tick(before_tick)
  return of == inc and before == inc and before_tick and before_tick <= at
end

-- All that the log names since the oldest call, and when last; nil when that can't be told, or not with little work.
local function named_since()
  local named = {keys = {}, tags = {}, heads = {}}
  if since_inc ~= inc or not since then
    return nil
  end
  if newest > tick and not last then
    -- A clock that was, and is ahead of the clock: what was between is lost.
    return nil
  end
  local at, entries, fields = since, 0, 0
  local skips = string.gmatch(ARGV[5], '(%d+):(%d+) ')
  -- The next stretch: from where to where.
  local from, to = skips()
  while at < tick do
    while from and as_tick(from) <= at do
      at = math.max(at, as_tick(to))
      from, to = skips()
    end
    if at > tick then
      return nil
    elseif at == tick then
      break
    end
    local page = redis.pcall('XRANGE', KEYS[2], '(' .. digits(at) .. '-18446744073709551615', from or '+', 'COUNT', PAGE)
    if page.err or #page == 0 then
      return nil
    end
    for _, entry in ipairs(page) do
      entries, fields = entries + 1, fields + #entry[2]
      local id = as_tick(string.match(entry[1], '^(%d+)-0$'))
      if not id or entries > ENTRIES or fields > FIELDS or not add_named(named, entry[2], id, at) then
        return nil
      end
      at = id
    end
  end
  return named
end

local named = named_since()
local tag_prefix = #KEYS[1] - #'clock' + #'t:'

-- Whether an entry is named, whose tags are so many keys behind the one at `at`, after the tick of its call.
local function is_named(key, at, tags, called)
  if not named or (named.keys[key] or 0) > called then
    return true
  end
  for i = at + 1, at + tags do
    if (named.tags[string.sub(KEYS[i], tag_prefix + 1)] or 0) > called then
      return true
    end
  end
  for _, glob in ipairs(named.heads) do
    if glob[2] > called and string.sub(key, 1, #glob[1]) == glob[1] then
      return true
    end
  end
  return false
end

local overtaken, any, at, arg = {}, false, 3, 6
while at <= #KEYS do
  local called, tags, key = as_tick(ARGV[arg]), tonumber(ARGV[arg + 1]), ARGV[arg + 5]
  overtaken[#overtaken + 1] = is_named(key, at, tags, called)
  any = any or overtaken[#overtaken]
  at, arg = at + 1 + tags, arg + EACH
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
  local tags, record, keep, keep_tags = tonumber(ARGV[arg + 1]), ARGV[arg + 2], ARGV[arg + 3], tonumber(ARGV[arg + 4])
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
  body[#body + 1] = ARGV[arg + 5]
  at, arg = at + 1 + tags, arg + EACH
end
local before = tick
bump(body)
return answer(table.concat(stored) .. ' ' .. digits(before))
