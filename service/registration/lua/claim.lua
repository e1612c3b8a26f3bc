-- Claim a name for one attempt to register it.
--
-- KEYS  1 the name (string: "taken:KEY_DIGEST" or "pending:TOKEN")
-- ARGV  1 the attempt's token   2 lifetime of the claim, ms
-- Returns "claimed", also when the same token asks again; otherwise the value of the key:
-- "taken:KEY_DIGEST", or "pending:TOKEN" with a rival's token.

local state = redis.call('GET', KEYS[1])
if not state then
  redis.call('SET', KEYS[1], 'pending:' .. ARGV[1], 'PX', ARGV[2])
elseif state ~= 'pending:' .. ARGV[1] then
  return state
end
return 'claimed'
