-- Claim a name for one attempt to register it.
--
-- KEYS  1 the name (string: "taken" or "pending:TOKEN")
-- ARGV  1 token of the attempt   2 how long the claim lives, ms
-- Returns "taken", "pending" (another attempt's) or "claimed"; asked again with the same token,
-- "claimed" again.

local state = redis.call('GET', KEYS[1])
if not state then
  redis.call('SET', KEYS[1], 'pending:' .. ARGV[1], 'PX', ARGV[2])
  return 'claimed'
end
if state == 'taken' then
  return 'taken'
end
return state == 'pending:' .. ARGV[1] and 'claimed' or 'pending'
