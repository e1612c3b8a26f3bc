-- End one session, also if it has just moved to a new id.
--
-- KEYS  1 the session (hash)   2 the account's sessions (sorted set; may be absent)
-- ARGV  1 digest of the id, the member of KEYS[2]   2 prefix of the key of a session, before the digest
-- Returns how many sessions were ended: 0 if there was none.

redis.pcall('ZREM', KEYS[2], ARGV[1]) -- an error, if it is no list, keeps no session alive
local ended = redis.call('DEL', KEYS[1])
if ended == 1 then
  return ended
end
for _, digest in ipairs(redis.pcall('ZRANGE', KEYS[2], 0, -1)) do
  local key = ARGV[2] .. digest
  if redis.pcall('HGET', key, 'was') == ARGV[1] then
    redis.call('ZREM', KEYS[2], digest)
    ended = ended + redis.call('DEL', key)
  end
end
return ended
