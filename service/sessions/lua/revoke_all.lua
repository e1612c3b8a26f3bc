-- End every session of an account, except one to keep, and every sign-in that is in progress.
--
-- KEYS  1 the account's sessions (sorted set)   2 the account's epoch
-- ARGV  1 the new epoch in Postgres   2 how long to remember it, ms: longer than any sign-in takes
--       3 prefix of the key of a session, before the digest
--       4 digest of the session to keep; empty: none
-- Returns how many sessions were ended.

local raised = redis.call('GET', KEYS[2])
if not raised or tonumber(raised) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
end
local ended = 0
for _, digest in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if digest ~= ARGV[4] then
    ended = ended + redis.call('DEL', ARGV[3] .. digest)
    redis.call('ZREM', KEYS[1], digest)
  end
end
return ended
