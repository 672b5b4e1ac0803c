// Behind the login of an Express application: each user has their own sessions, over HTTP and over WebSockets.
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { createMillrace } from 'millrace'

/** Who is logged in, by cookie. Yours checks a password, and keeps this in a database. */
const logins = new Map<string, string>()

const millrace = createMillrace({
  model: 'sim:count?n=5',
  authenticate({ headers }) {
    const cookie = /(?:^|; )login=([\w-]+)/.exec(headers.get('cookie') ?? '')?.[1] ?? ''
    const id = logins.get(cookie)
    return id === undefined ? undefined : { id }
  },
})

const app = express()
app.use(express.json())
app.post('/login', (request, response) => {
  const cookie = randomUUID()
  logins.set(cookie, String(request.body.name))
  response.cookie('login', cookie, { httpOnly: true, sameSite: 'strict' }).end()
})
app.use(millrace.handler)
const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/login`)
})
server.on('upgrade', millrace.upgrade)
