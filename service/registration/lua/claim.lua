-- Claim a name for one attempt to register it.
--
-- KEYS  1 the name (string: "taken:KEY" or "pending:TOKEN")
-- ARGV  1 token of the attempt   2 how long the claim lives, ms
-- Returns "claimed"; or what stands there: "taken:KEY", or "pending:" and another's token. Asked
-- again with the same token, "claimed" again.

local state = redis.call('GET', KEYS[1])
if not state then
  redis.call('SET', KEYS[1], 'pending:' .. ARGV[1], 'PX', ARGV[2])
elseif state ~= 'pending:' .. ARGV[1] then
  return state
end
return 'claimed'
