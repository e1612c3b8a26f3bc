-- Move a session to a new id.
--
-- KEYS  1 the session (hash)   2 where it goes   3 the account's sessions (sorted set; may be absent)
-- ARGV  1 digest of the old id, the member of KEYS[3]   2 digest of the new one
-- Returns 1, also when it was moved there before: the client may have lost that answer, and asks
-- again. 0 if the session is gone.

if redis.call('EXISTS', KEYS[1]) == 0 then
  return redis.call('EXISTS', KEYS[2])
end
redis.call('RENAME', KEYS[1], KEYS[2])
local expires = redis.call('ZSCORE', KEYS[3], ARGV[1])
if expires then
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('ZADD', KEYS[3], expires, ARGV[2])
end
return 1
