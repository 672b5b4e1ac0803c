/** The control row: a bare `net` server that writes one shared buffer per event to every socket, and does nothing else. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { pace } from '../due.ts'
import { createMeter, heldMemory, serveCommands } from '../processes.ts'

const sockets = new Set<Socket>()
const meter = createMeter()
let offset = 0
let stop = () => {}

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {})
  socket.once('data', () => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n: control\n\n')
    sockets.add(socket)
  })
  socket.once('close', () => sockets.delete(socket))
})

serveCommands({
  listen: () => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))),
  publish(perSecond: number) {
    stop = pace(perSecond, (due) => {
      // As many bytes as an event of Millrace's session stream.
      const event = Buffer.from(
        `event: message\nid: controlepoch-${++offset}\ndata: {"run":"0123456789012345678901","lane":"app","text":"${due}"}\n\n`,
      )
      for (const socket of sockets) socket.write(event)
    })
  },
  unpublish: () => stop(),
  memory: heldMemory,
  begin: () => meter.begin(),
  end: () => meter.end(),
})
