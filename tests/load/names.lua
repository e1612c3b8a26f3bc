-- Registrations for wrk: `wrk -s names.lua URL -- MODE NAME [COUNT]`. Prints one line of JSON.
--
-- same    NAME over and over
-- each    NAME0, NAME1, …, every one of them COUNT times
-- random  one of NAME0 … NAME(COUNT - 1)

statuses = {}
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

local function registration(name)
  return '{"username": "' .. name .. '", "password": "correct horse battery"}'
end

function init(arguments)
  local mode, name, count = arguments[1], arguments[2], tonumber(arguments[3])
  local sent = 0
  wrk.method = 'POST'
  wrk.headers['Content-Type'] = 'application/json'
  wrk.body = registration(name)
  if mode == 'each' then
    request = function()
      sent = sent + 1
      return wrk.format(nil, nil, nil, registration(name .. math.floor((sent - 1) / count)))
    end
  elseif mode == 'random' then
    request = function()
      return wrk.format(nil, nil, nil, registration(name .. math.random(0, count - 1)))
    end
  end
end

function response(status)
  local key = tostring(status)
  statuses[key] = (statuses[key] or 0) + 1
end

function done(summary, latency)
  local counts = {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get('statuses')) do
      table.insert(counts, string.format('"%s": %d', status, count))
    end
  end
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '\n{"seconds": %f, "p50": %f, "p99": %f, "lost": %d, "statuses": {%s}}\n',
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    lost, table.concat(counts, ', ')))
end
