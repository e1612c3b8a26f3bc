-- List the sessions of an account, and remove those that no longer exist from its list.
--
-- KEYS  1 the account's sessions (sorted set)
-- ARGV  1 prefix of the key of a session, before the digest   2 the field of the metadata
-- Returns {digest, metadata, created, seen, expires (Unix ms)} for each, the latest expiry first.

local listed = {}
for _, digest in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[1] .. digest
  local fields = redis.pcall('HMGET', key, ARGV[2], 'created', 'seen') -- an error if it is no hash
  if fields[1] and fields[2] and fields[3] then
    local expires = redis.call('ZSCORE', KEYS[1], digest)
    listed[#listed + 1] = {digest, fields[1], fields[2], fields[3], expires}
  else
    redis.call('ZREM', KEYS[1], digest)
  end
end
return listed
