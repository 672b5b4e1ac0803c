// Next to your own routes in a plain node:http server.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createMillrace } from 'millrace'

const millrace = createMillrace({ model: 'sim:count?n=5' })

const server = createServer((request, response) => {
  millrace.handler(request, response, () => response.end('my own page'))
})
// WebSockets are upgraded by the server and not by a request handler.
server.on('upgrade', millrace.upgrade)
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/api/chat?query=hello`)
})
