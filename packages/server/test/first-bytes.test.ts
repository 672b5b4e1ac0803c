import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createMillrace } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { postJson } from './support/server.ts'

const question = { id: 'chat', messages: [{ id: 'm', role: 'user', parts: [{ type: 'text', text: 'hello' }] }] }

// A write is a call of the system and most often a packet: three of them were a tenth of what a question costs.
it.each([
  ['/api/chat', { query: 'hello' }, /^HTTP\/1\.1 200 .*\r\n\r\nretry: \d+\n\n: millrace\n\nevent: stream_start\n.*\n\n$/s],
  ['/ai/chat', question, /^HTTP\/1\.1 200 .*\r\n\r\n.*: millrace\n\n.*data: {"type":"start".*\n\n\r\n$/s],
])('%s sends the head of a stream and its first event in one write', async (path, body, first) => {
  const millrace = createMillrace({ models: [gatedModel()], model: 'gated', dialects: ['ai-sdk'] })
  const writes: string[] = []
  const server = createServer(millrace.handler).on('connection', (socket) => noteWrites(socket, writes))
  onTestFinished(async () => {
    await millrace.close()
    server.close()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const response = await postJson(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, body)
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  onTestFinished(() => reader.cancel())
  await reader.read()
  expect(writes[0]).toMatch(first)
})

function noteWrites(socket: Socket, writes: string[]): void {
  const { _write: write, _writev: writev } = socket
  Object.assign(socket, {
    _write(chunk: Uint8Array | string, ...rest: [BufferEncoding, () => void]) {
      writes.push(String(chunk))
      write.call(socket, chunk, ...rest)
    },
    _writev(chunks: { chunk: Uint8Array | string; encoding: BufferEncoding }[], done: () => void) {
      writes.push(chunks.map(({ chunk }) => String(chunk)).join(''))
      writev?.call(socket, chunks, done)
    },
  })
}
