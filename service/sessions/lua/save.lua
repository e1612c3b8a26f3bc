-- Write what changed in a session, if it still exists and will not hold too much.
--
-- KEYS  1 the session (hash)
-- ARGV  for each namespace: the prefix of its fields; how many fields it may have, and how many bytes
--       in names (without prefix) and values; r, and r fields to remove; w, and w × (field, value) to
--       write
-- Returns 1; 0 if the session is gone, so that it stays gone; -i if the i-th namespace would grow
-- beyond its limits. Unless it returns 1, nothing is written.

if type(redis.pcall('HGET', KEYS[1], 'created')) ~= 'string' then -- an error if it is no hash
  return 0
end

local position = 0
local function next_argument()
  position = position + 1
  return ARGV[position]
end

local stored
local function sizes(prefix)
  stored = stored or redis.call('HGETALL', KEYS[1])
  local of, fields, bytes = {}, 0, 0
  for i = 1, #stored, 2 do
    if string.sub(stored[i], 1, 1) == prefix then
      of[stored[i]] = #stored[i] - 1 + #stored[i + 1]
      fields, bytes = fields + 1, bytes + of[stored[i]]
    end
  end
  return of, fields, bytes
end

local removed, written, namespace = {}, {}, 0
while position < #ARGV do
  namespace = namespace + 1
  local prefix, most_fields, most_bytes = next_argument(), next_argument(), next_argument()
  local first_removed, first_written = #removed + 1, #written + 1
  for _ = 1, next_argument() do
    removed[#removed + 1] = next_argument()
  end
  for _ = 1, next_argument() do
    written[#written + 1] = {next_argument(), next_argument()}
  end
  if first_written <= #written then -- otherwise it only shrinks
    local of, fields, bytes = sizes(prefix)
    local fields_before, bytes_before = fields, bytes
    for i = first_removed, #removed do
      if of[removed[i]] then
        fields, bytes = fields - 1, bytes - of[removed[i]]
      end
    end
    for i = first_written, #written do
      local field, value = written[i][1], written[i][2]
      if not of[field] then
        fields = fields + 1
      end
      bytes = bytes - (of[field] or 0) + #field - 1 + #value
    end
    -- What is over a limit already may still change, as long as it does not grow.
    if fields > math.max(most_fields, fields_before) or bytes > math.max(most_bytes, bytes_before) then
      return -namespace
    end
  end
end

-- Writing comes first: once a script has removed something, a full Redis lets it write.
for _, pair in ipairs(written) do
  redis.call('HSET', KEYS[1], pair[1], pair[2])
end
for _, field in ipairs(removed) do
  redis.call('HDEL', KEYS[1], field)
end
return 1
