-- Give back what charge.lua has charged, and empty other limits.
--
-- KEYS  one for each limit (string: Unix µs), first those to give back to, then those to empty
-- ARGV  1 how many to give back to
--       for each of them: when its bucket would have been empty, as charge.lua said; interval and
--       size of the bucket, µs
-- Returns for each limit that it empties how long its bucket would have taken to leak, µs. What has
-- leaked meanwhile is not given back: it would be somebody else's.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local emptied = {}

for i, key in ipairs(KEYS) do
  if i > tonumber(ARGV[1]) then
    table.insert(emptied, math.max(tonumber(redis.call('GET', key) or 0) - now, 0))
    redis.call('DEL', key)
  else
    local empty = tonumber(redis.call('GET', key) or 0)
    local empty_at, interval, size = ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]
    -- If the bucket has been locked since, that was because of this charge among others.
    local rest = math.min(empty, now + size) - interval
    if now < tonumber(empty_at) and now < empty then
      if rest <= now then
        redis.call('DEL', key)
      else
        local expiry = string.format('%.0f', math.ceil(rest / 1000))
        redis.call('PEXPIREAT', key, expiry) -- a full Redis permits it, and then what follows
        redis.call('SET', key, string.format('%.0f', rest), 'PXAT', expiry)
      end
    end
  end
end
return emptied
