#!lua flags=allow-oom
-- Every control script begins with this. KEYS[1] is the clock, KEYS[2] the log;
-- ARGV[1] names a new incarnation (16 hex digits), used only if one must begin.
-- PROTOCOL §2: (a) no clock: a new incarnation; (b) another primary: a jump past every tick that the
-- old one can have handed out, or, when that can't be shown, a new incarnation.

-- How far the clocks of two servers may be apart, in µs.
local SKEW = 10 * 1000 * 1000
-- How many log entries are kept.
local LOG = 16384

local at = redis.call('TIME')
local time = at[1] * 1000000 + at[2]
local ms = math.floor(time / 1000)

local function digits(n)
  return string.format('%.0f', n)
end

local function read(key)
  local got = redis.pcall('GET', key)
  return type(got) == 'string' and got or nil
end

local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''

-- A tick, or nil for text that is none: from 2^53 on Lua could not count.
local function as_tick(text)
  local n = tonumber(text)
  return n and n < 2 ^ 53 and n or nil
end

local inc, tick, known = string.match(read(KEYS[1]) or '', '^([0-9a-f]+) (%d+) (%x*)$')
tick = inc and #inc == 16 and as_tick(tick) or nil

local function save()
  redis.call('SET', KEYS[1], inc .. ' ' .. digits(tick) .. ' ' .. replid)
end

local function last_logged()
  local last = redis.pcall('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
  if last.err then
    redis.call('DEL', KEYS[2])
    return 0
  end
  local id = last[1] and tonumber(string.match(last[1][1], '^(%d+)')) or 0
  if id >= 2 ^ 53 then
    -- Nobody's tick: a foreign entry, behind which nothing could be added.
    redis.call('DEL', KEYS[2])
    return 0
  end
  return id
end

-- Appends to the log under the tick `to`, and makes it the clock's. The entry comes first.
local function log(to, prev, body)
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', LOG, digits(to) .. '-0', 'i', inc, 'p', prev, unpack(body))
  tick = to
  save()
end

local function bump(body)
  log(math.max(tick + 1, time, last_logged() + 1), inc .. ':' .. digits(tick), body)
end

local function begin_incarnation()
  inc = ARGV[1]
  log(math.max(time, last_logged() + 1), '', {'w', 'new'})
end

if not tick then
  begin_incarnation()
elseif known ~= replid then
  local to = time + SKEW
  if to > tick and to > last_logged() then
    log(to, inc .. ':' .. digits(tick), {'w', 'jump'})
  else
    begin_incarnation()
  end
end

local function tag_record(key)
  local of, hard, soft = string.match(read(key) or '', '^(%x+) (%d+) (%d+)$')
  hard, soft = as_tick(hard), as_tick(soft)
  if of == inc and hard and soft then
    return hard, soft
  end
end

local function write_tag(key, hard, soft, keep)
  redis.call('SET', key, inc .. ' ' .. digits(hard) .. ' ' .. digits(soft), 'PX', digits(keep))
end

-- Creates the record at the current tick, without a bump, or extends its life.
local function ensure_tag(key, keep)
  local hard, soft = tag_record(key)
  if not hard then
    write_tag(key, tick, 0, keep)
    return tick, 0
  end
  if redis.call('PTTL', key) < keep then
    redis.call('PEXPIRE', key, digits(keep))
  end
  return hard, soft
end

-- The token in a record, or nil.
local function token(key)
  local got = redis.pcall('GETRANGE', key, 8, 23)
  if type(got) == 'string' and #got == 16 then
    return got
  end
end

-- Takes our token out of a record, and the record with it if it holds no value.
local function release(key)
  local flags = redis.call('GETRANGE', key, 4, 4)
  if string.byte(flags) % 2 == 1 then
    redis.call('SETRANGE', key, 8, string.rep('\0', 24))
  else
    redis.call('UNLINK', key)
  end
end

local function answer(...)
  return {inc, digits(tick), digits(ms), replid, ...}
end
