-- Requests for wrk: `wrk -s requests.lua URL -- MODE FILE`. Prints one line of JSON.
--
-- get   with a line of FILE, chosen at random, as the Cookie header
-- post  with a line of FILE, chosen at random, as the JSON body

dofile(debug.getinfo(1, 'S').source:match('^@(.*)requests.lua$') .. '../tally.lua')

local function read(path)
  local lines = {}
  for line in io.lines(path) do
    table.insert(lines, line)
  end
  return lines
end

function init(arguments)
  local mode, lines = arguments[1], read(arguments[2])
  if mode == 'get' then
    wrk.headers['Cookie'] = '@'
    local before, after = wrk.format():match('^(.*)@(.*)$')
    request = function()
      return before .. lines[math.random(#lines)] .. after
    end
  else
    wrk.method = 'POST'
    wrk.headers['Content-Type'] = 'application/json'
    request = function()
      return wrk.format(nil, nil, nil, lines[math.random(#lines)])
    end
  end
end
