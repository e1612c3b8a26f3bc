-- End every session of an account, but for one that may be kept; sign-ins under way end too.
--
-- KEYS  1 the account's sessions (sorted set)   2 the account's epoch
-- ARGV  1 the epoch that Postgres was raised to   2 how long it must be remembered, ms: longer
--         than any sign-in takes
--       3 what the key of a session begins with, before the digest
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
