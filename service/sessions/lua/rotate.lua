-- Move a session to a new id.
--
-- KEYS  1 the session (hash)   2 its new key   3 the account's sessions (sorted set; may be absent)
--       4 the account's epoch
-- ARGV  1 digest of the old id, the member of KEYS[3]   2 digest of the new one
--       only if the user has just authenticated again:
--       3, 4 the field of the metadata and its new value
--       5 epoch of the account when the proof was checked; empty: leave it as it is
-- Returns the time, Unix ms on Redis' clock; 0 if the session is gone, or if the proof is older than
-- a revocation of the account's sessions. If the session has already moved to the new key, a retry
-- after a lost reply gets the time as well.

local raised = ARGV[5] and ARGV[5] ~= '' and redis.call('GET', KEYS[4])
if raised and tonumber(raised) > tonumber(ARGV[5]) then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if type(redis.pcall('HGET', KEYS[1], 'created')) ~= 'string' then -- an error if it is no hash
  return redis.call('EXISTS', KEYS[2]) * now
end
-- A full Redis allows this, and everything after it.
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[2], 'was', ARGV[1]) -- a sign-out under the old id may be on its way
local expires = redis.call('ZSCORE', KEYS[3], ARGV[1])
if expires then
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('ZADD', KEYS[3], expires, ARGV[2])
end
if ARGV[3] then
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[4], 'authenticated', string.format('%.0f', now))
  if ARGV[5] ~= '' then
    redis.call('HSET', KEYS[2], 'epoch', ARGV[5])
  end
end
return now
