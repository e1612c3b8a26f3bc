-- New names for wrk: `wrk -s newcomers.lua URL -- PREFIX`. Prints one line of JSON.

dofile(debug.getinfo(1, 'S').source:match('^@(.*)newcomers.lua$') .. '../tally.lua')

function init(arguments)
  local sent = 0
  wrk.method = 'POST'
  wrk.headers['Content-Type'] = 'application/json'
  request = function()
    sent = sent + 1
    local body = '{"username": "' .. arguments[1] .. sent .. '", "password": "correct horse battery"}'
    return wrk.format(nil, nil, nil, body)
  end
end
