-- End one session.
--
-- KEYS  1 the session (hash)   2 the account's sessions (sorted set; may be absent)
-- ARGV  1 digest of the id, the member of KEYS[2]
-- Returns 1; 0 if there was no such session.

redis.pcall('ZREM', KEYS[2], ARGV[1]) -- an error, if it is no list, keeps no session alive
return redis.call('DEL', KEYS[1])
