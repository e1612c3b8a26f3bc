-- Store a new session, and add it to the list of its account.
--
-- KEYS  1 the session (hash)   2 the account's sessions (sorted set)   3 the account's epoch
-- ARGV  1 digest of the id, the member of KEYS[2]
--       2 epoch that the sign-in read from Postgres; empty: an anonymous session, without a list
--       3 idle limit, ms   4 absolute limit, ms   5 sessions that an account may have
--       6 prefix of the key of a session, before the digest
--       7 digest of a session of the same account that this one replaces; empty: none
--       8, 9 the field of the metadata and its value   10… field, value, field, value, …
-- Returns the time of creation, Unix ms on Redis' clock; 0 if the epoch is stale, because the
-- account's sessions were revoked after the sign-in had read it.

local epoch = ARGV[2]
if epoch ~= '' then
  local raised = redis.call('GET', KEYS[3])
  if raised and tonumber(raised) > tonumber(epoch) then
    return 0
  end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline = now + ARGV[4]
local expires = math.min(now + ARGV[3], deadline)
local function integer(number)
  return string.format('%.0f', number)
end
local function finish(digest)
  redis.call('DEL', ARGV[6] .. digest)
  redis.call('ZREM', KEYS[2], digest)
end

-- After a crash, the append-only file may contain only the first commands of this script. So the list
-- comes before the session, and every key soon gets its expiry.
if epoch ~= '' then
  -- First a command that a full Redis rejects: after it, the script may exceed maxmemory.
  redis.call('ZADD', KEYS[2], integer(expires), ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. integer(now)) -- until then, they still live
  if ARGV[7] ~= '' then
    finish(ARGV[7])
  end
  local excess = redis.call('ZCARD', KEYS[2]) - ARGV[5]
  for _, digest in ipairs(redis.call('ZRANGE', KEYS[2], 0, math.max(excess, 0))) do
    if excess > 0 and digest ~= ARGV[1] then
      finish(digest)
      excess = excess - 1
    end
  end
  local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
  redis.call('PEXPIREAT', KEYS[2], last[2])
end

local fields = {'created', integer(now), 'seen', integer(now), 'deadline', integer(deadline),
  ARGV[8], ARGV[9]}
if epoch ~= '' then
  fields[9], fields[10] = 'epoch', epoch
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('PEXPIREAT', KEYS[1], integer(expires))
for i = 10, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
return now
