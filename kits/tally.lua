-- Shared by every wrk script: counts the responses by status and prints one line of JSON.

statuses = {}
local threads = {}

function setup(thread)
  table.insert(threads, thread)
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
