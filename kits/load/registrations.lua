-- Registrations for wrk: `wrk -s registrations.lua URL -- MODE NAME [COUNT [STEP]]`. Prints one line of JSON.
--
-- same    NAME, over and over
-- each    NAME0, NAME1, …, COUNT times each
-- random  one of COUNT names, chosen at random: NAME0, NAME(STEP), NAME(2 * STEP), …

dofile(debug.getinfo(1, 'S').source:match('^@(.*)registrations.lua$') .. '../tally.lua')

local function registration(name)
  return '{"username": "' .. name .. '", "password": "correct horse battery"}'
end

function init(arguments)
  local mode, name, count = arguments[1], arguments[2], tonumber(arguments[3])
  local step = tonumber(arguments[4])
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
      return wrk.format(nil, nil, nil, registration(name .. math.random(0, count - 1) * step))
    end
  end
end
