// Fastify, @fastify/session and connect-redis, combined as in their documentation, in WORKERS
// processes. Environment: PORT, WORKERS, REDIS_SOCKET.

import cluster from 'node:cluster'
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import { RedisStore } from 'connect-redis'
import Fastify from 'fastify'
import { createClient } from 'redis'

async function serve () {
  const client = createClient({ socket: { path: process.env.REDIS_SOCKET } })
  client.on('error', (error) => { throw error })
  await client.connect()
  const app = Fastify()
  // One line for each request, with the same fields as gunicorn's.
  app.addHook('onResponse', (request, reply, done) => {
    if (request.url !== '/readyz') {
      console.log(JSON.stringify({
        event: 'request',
        method: request.method,
        path: request.url,
        status: reply.statusCode,
        bytes: Number(reply.getHeader('content-length') ?? 0),
        ms: Math.round(reply.elapsedTime * 10) / 10,
        pid: process.pid
      }))
    }
    done()
  })
  app.get('/readyz', async () => ({ status: 'ready' }))
  await app.register(cookie)
  await app.register(session, {
    store: new RedisStore({ client }),
    secret: 'not secret, but longer than thirty-two characters',
    cookieName: 'session',
    saveUninitialized: false,
    rolling: true,
    cookie: { maxAge: 1800 * 1000, secure: false }
  })
  app.post('/sign-in', async (request, reply) => {
    request.session.account = request.body
    return reply.code(204).send()
  })
  app.get('/me', async (request) => ({ account: request.session.account }))
  await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
}

if (cluster.isPrimary) {
  for (let n = 0; n < Number(process.env.WORKERS); n++) cluster.fork()
} else {
  await serve()
}
