-- Note that a session is in use, and postpone its expiry, at most once in each interval.
--
-- KEYS  1 the session (hash)   2 the account's sessions (sorted set; may be absent)
-- ARGV  1 digest of the id, the member of KEYS[2]   2 idle limit, ms   3 interval, ms
-- Returns the time, Unix ms on Redis' clock; 0 if the session is gone.

local times = redis.pcall('HMGET', KEYS[1], 'seen', 'deadline') -- an error if it is no hash
local seen, deadline = tonumber(times[1] or ''), tonumber(times[2] or '')
if not (seen and deadline) then -- gone, or nobody can read it
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now - seen < tonumber(ARGV[3]) then
  return now
end
local expires = string.format('%.0f', math.min(now + ARGV[2], deadline))
-- First the write that a full Redis allows: after it, the script may exceed maxmemory.
redis.call('PEXPIREAT', KEYS[1], expires)
redis.call('HSET', KEYS[1], 'seen', string.format('%.0f', now))
if redis.call('HGET', KEYS[1], 'epoch') then -- otherwise it is anonymous, without a list
  redis.call('ZADD', KEYS[2], expires, ARGV[1])
end
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
if last[2] then
  redis.call('PEXPIREAT', KEYS[2], last[2])
end
return now
