-- Write what changed in a session, if it still exists.
--
-- KEYS  1 the session (hash)
-- ARGV  1 how many fields to remove, n   2…n+1 their names   then field, value, field, value, …
-- Returns 1; 0 if the session is gone. Then nothing is written, so the session stays gone.

if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
local removed = tonumber(ARGV[1])
for i = 2, removed + 1 do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
for i = removed + 2, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
return 1
