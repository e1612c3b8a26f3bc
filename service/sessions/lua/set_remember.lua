-- Let a session outlive the browser, or end with it, and give it the limits for that.
--
-- KEYS  1 the session (hash)   2 the account's sessions (sorted set; may be absent)
-- ARGV  1 digest of the id, the member of KEYS[2]   2, 3 a field and whether it outlives the browser
--       4, 5 a field and the new idle limit, ms   6 its absolute limit from now on, ms
--       7 the longest absolute limit from its creation, ms: no number of changes exceeds that
-- Returns {time, new deadline}, Unix ms on Redis' clock; {0, 0} if the session is gone.

local created = redis.pcall('HGET', KEYS[1], 'created') -- an error if it is no hash
created = type(created) == 'string' and tonumber(created)
if not created then -- gone, or nobody can read it
  return {0, 0}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function integer(number)
  return string.format('%.0f', number)
end
local deadline = math.min(now + ARGV[6], created + ARGV[7])
local expires = integer(math.min(now + ARGV[5], deadline))
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], 'deadline', integer(deadline),
  'seen', integer(now))
redis.call('PEXPIREAT', KEYS[1], expires)
if redis.call('HGET', KEYS[1], 'epoch') then -- otherwise it is anonymous, without a list
  redis.call('ZADD', KEYS[2], expires, ARGV[1])
end
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
if last[2] then
  redis.call('PEXPIREAT', KEYS[2], last[2])
end
return {now, deadline}
