-- Charge one attempt to several limits, or to none of them if one is used up.
--
-- Each limit is a bucket that leaks (the generic cell rate algorithm, ITU-T I.371): an attempt adds
-- one interval, and time takes it away. The key holds when the bucket will be empty.
--
-- KEYS  one for each limit (string: Unix µs)
-- ARGV  for each limit: interval, µs; size of the bucket, µs; how long it stays used up once an
--       attempt finds it so, µs (0: until it has leaked); 1 if it is charged even if another one is
--       used up, else 0
-- Returns {1, for each limit when its bucket will be empty, Unix µs}; or, if one is used up, {0, for
-- each limit how long until the next attempt fits, µs; 0 if it fits now}.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function store(key, empty)
  local expiry = string.format('%.0f', math.ceil(empty / 1000))
  redis.call('PEXPIREAT', key, expiry) -- a full Redis permits it, and then everything that follows
  redis.call('SET', key, string.format('%.0f', empty), 'PXAT', expiry)
end

local charged, waits, is_refused = {}, {}, false
for i, key in ipairs(KEYS) do
  local interval, size, lock = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1])
  local empty = math.max(tonumber(redis.call('GET', key) or 0), now)
  if lock == 0 then
    empty = math.min(empty, now + size) -- in case the clock was set back
  end
  charged[i] = empty + interval
  waits[i] = math.max(charged[i] - now - size, 0)
  if waits[i] > 0 then
    is_refused = true
    if lock > 0 and waits[i] <= interval then
      store(key, now + lock)
      waits[i] = lock
    end
  end
end

for i, key in ipairs(KEYS) do
  if not is_refused or (ARGV[4 * i] == '1' and waits[i] == 0) then
    store(key, charged[i])
  end
end
return is_refused and {0, unpack(waits)} or {1, unpack(charged)}
