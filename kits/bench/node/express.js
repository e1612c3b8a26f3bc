// Express, express-session and connect-redis, combined as in their documentation, in WORKERS
// processes. Environment: PORT, WORKERS, REDIS_SOCKET.

import cluster from 'node:cluster'
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { createClient } from 'redis'

// One line for each request, with the same fields as gunicorn's.
function log (request, response, next) {
  const started = process.hrtime.bigint()
  response.on('finish', () => {
    console.log(JSON.stringify({
      event: 'request',
      method: request.method,
      path: request.path,
      status: response.statusCode,
      bytes: Number(response.get('Content-Length') ?? 0),
      ms: Number((process.hrtime.bigint() - started) / 100000n) / 10,
      pid: process.pid
    }))
  })
  next()
}

async function serve () {
  const client = createClient({ socket: { path: process.env.REDIS_SOCKET } })
  client.on('error', (error) => { throw error })
  await client.connect()
  const app = express()
  app.get('/readyz', (request, response) => response.json({ status: 'ready' }))
  app.use(log)
  app.use(session({
    store: new RedisStore({ client }),
    secret: 'not secret',
    resave: false,
    saveUninitialized: false,
    rolling: true,
    cookie: { maxAge: 1800 * 1000 }
  }))
  app.post('/sign-in', express.json(), (request, response) => {
    request.session.account = request.body
    response.status(204).end()
  })
  app.get('/me', (request, response) => response.json({ account: request.session.account }))
  app.listen(Number(process.env.PORT), '127.0.0.1')
}

if (cluster.isPrimary) {
  for (let n = 0; n < Number(process.env.WORKERS); n++) cluster.fork()
} else {
  await serve()
}
