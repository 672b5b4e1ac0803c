// In Express: Millrace handles its own paths and leaves the others, before or after a body parser.
import type { AddressInfo } from 'node:net'
import express from 'express'
import { createMillrace } from 'millrace'

const millrace = createMillrace({ model: 'sim:count?n=5' })

const app = express()
app.use(express.json())
app.use(millrace.handler)
app.get('/', (_request, response) => {
  response.send('my own page')
})
const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/api/chat?query=hello`)
})
// WebSockets are upgraded by the server and not by a request handler.
server.on('upgrade', millrace.upgrade)
