/** The control row for tokens: `res.write` as most servers use it, from a callback, without a log. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { at, nowMicros, stamp } from '../due.ts'
import { createMeter, serveCommands } from '../processes.ts'

const meter = createMeter()
const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write('event: stream_start\nid: controlepoch-1\ndata: {}\n\n')
  write(response, nowMicros(), 1, Number(new URL(request.url ?? '', 'http://127.0.0.1').searchParams.get('query')))
})

/** As many bytes as an event of Millrace's. */
function write(response: ServerResponse, start: number, token: number, tokens: number): void {
  if (token > tokens) return void response.end(`event: stream_end\nid: controlepoch-${token + 1}\ndata: {}\n\n`)
  const due = start + token * 20_000
  at(due, () => {
    response.write(`event: message\nid: 0123456789012345678901:controlepoch-${token + 1}\ndata: {"text":"${stamp(due)}"}\n\n`)
    write(response, start, token + 1, tokens)
  })
}

serveCommands({
  listen: () => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))),
  begin: () => meter.begin(),
  end: () => meter.end(),
})
