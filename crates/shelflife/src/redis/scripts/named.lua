-- What the log names behind an epoch, for values that count from there. ARGV: 3 and 4 the epoch, 5 'first' or 'last':
-- the last time, what can't be told counts as named.
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

