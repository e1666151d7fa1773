-- What the log names behind an epoch, for values that count from there or from later on. ARGV: 3 the incarnation of the
-- ticks; 4 and 5 the first tick and the last from which one counts: each was the clock's, or the server's time, before its call began; 6 'first' or
-- 'last': the last time, what can't be told counts as named; 7 where the log is known to hold only sets, as 'from:to '
-- in ticks, in their order.
local since_inc, since, newest, last = ARGV[3], as_tick(ARGV[4]), as_tick(ARGV[5]), ARGV[6] == 'last'
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
  if since_inc ~= inc or not since or not newest then
    return nil
  end
  if newest > tick and not last then
    -- A clock that was, and is ahead of the clock: what was between is lost.
    return nil
  end
  local at, entries, fields = since, 0, 0
  local skips = string.gmatch(ARGV[7], '(%d+):(%d+) ')
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
  if not named or not called or (named.keys[key] or 0) > called then
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

