/** The control row for WebSockets: `ws` as most servers use it, one `send` of a string for each client and event. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { pace } from '../due.ts'
import { createMeter, serveCommands } from '../processes.ts'

const clients = new Set<WebSocket>()
const meter = createMeter()
let offset = 0
let stop = () => {}

const http = createServer()
const server = new WebSocketServer({ server: http, perMessageDeflate: false })
server.on('connection', (client) => {
  clients.add(client)
  client.on('error', () => {})
  client.once('close', () => clients.delete(client))
})

serveCommands({
  listen: () => new Promise((resolve) => http.listen(0, '127.0.0.1', () => resolve((http.address() as AddressInfo).port))),
  publish(perSecond: number) {
    stop = pace(perSecond, (due) => {
      // As many bytes as an event of Millrace's.
      const event = `{"type":"event","session":"bench","id":"controlepoch-${++offset}","event":"message","data":{"run":"0123456789012345678901","lane":"app","text":"${due}"}}`
      for (const client of clients) client.send(event)
    })
  },
  unpublish: () => stop(),
  begin: () => meter.begin(),
  end: () => meter.end(),
})
