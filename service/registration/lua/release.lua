-- Give up a claim, if it is still one's own.
--
-- KEYS  1 the name (string: "taken:KEY" or "pending:TOKEN")
-- ARGV  1 token of the attempt
-- Returns 1; 0 if the claim had run out, or the name is another's by now.

if redis.call('GET', KEYS[1]) == 'pending:' .. ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
