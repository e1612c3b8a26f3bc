-- End the sessions of an account that were authenticated before an epoch, except one to keep, and
-- every sign-in in progress that read an older epoch.
--
-- KEYS  1 the account's sessions (sorted set)   2 the account's epoch
-- ARGV  1 the new epoch in Postgres   2 how long to remember it, ms: longer than any sign-in takes
--       3 prefix of the key of a session, before the digest
--       4 digest of the session to keep; empty: none
-- Returns how many sessions were ended.

-- No digest is empty, so this removes nothing. But it is a write that a full Redis allows, and after
-- it, the script may exceed maxmemory.
redis.call('ZREM', KEYS[1], '')
local ended = 0
for _, digest in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[3] .. digest
  local found = redis.pcall('HGET', key, 'epoch') -- an error if it is no hash
  local epoch = type(found) == 'string' and tonumber(found) or 0
  if digest ~= ARGV[4] and epoch < tonumber(ARGV[1]) then
    ended = ended + redis.call('DEL', key)
    redis.call('ZREM', KEYS[1], digest)
  end
end
local raised = redis.call('GET', KEYS[2])
if not raised or tonumber(raised) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
end
return ended
