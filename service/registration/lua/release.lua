-- Give up a claim, if the attempt still holds it.
--
-- KEYS  1 the name (string: "taken:KEY_DIGEST" or "pending:TOKEN")
-- ARGV  1 the attempt's token
-- Returns 1; 0 if the claim has expired, or the name is taken or claimed by a rival.

if redis.call('GET', KEYS[1]) == 'pending:' .. ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
