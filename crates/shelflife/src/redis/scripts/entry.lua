#!lua flags=allow-oom
-- The scripts of one entry begin with this. KEYS[1] is the entry.
local at = redis.call('TIME')
local ms = at[1] * 1000 + math.floor(at[2] / 1000)
local NO_TOKEN = string.rep('\0', 16)

-- The fixed header, '' when there is nothing; nil for something that is no string.
local function header()
  local got = redis.pcall('GETRANGE', KEYS[1], 0, 127)
  return type(got) == 'string' and got or nil
end

local function has_value(head)
  return #head >= 128 and string.byte(head, 5) % 2 == 1
end

local function place(head, token, lease)
  redis.call('SETRANGE', KEYS[1], 8, token .. struct.pack('>I8', ms + lease))
  -- The token must outlive the value, or the fill that follows would be refused.
  local left = redis.call('PTTL', KEYS[1])
  if not has_value(head) or (left >= 0 and left < lease) then
    redis.call('PEXPIRE', KEYS[1], lease)
  end
end
