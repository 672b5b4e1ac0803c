/** The control row for dialects: the AI SDK's own server, as its documentation has it. It keeps nothing. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createUIMessageStream, pipeUIMessageStreamToResponse, type UIMessage } from 'ai'
import { at, nowMicros, stamp } from '../due.ts'
import { createMeter, serveCommands } from '../processes.ts'

const meter = createMeter()
const server = createServer((request, response) => void answer(request, response))

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { messages } = (await new Response(request as unknown as ReadableStream).json()) as { messages: UIMessage[] }
  const [part] = messages.at(-1)?.parts ?? []
  const tokens = Number(part?.type === 'text' ? part.text : 0)
  const stream = createUIMessageStream({
    async execute({ writer }) {
      const start = nowMicros()
      writer.write({ type: 'text-start', id: '0' })
      for (let token = 1; token <= tokens; token++) {
        const due = start + token * 20_000
        if (nowMicros() < due) await new Promise<void>((resolve) => at(due, resolve))
        writer.write({ type: 'text-delta', id: '0', delta: stamp(due) })
      }
      writer.write({ type: 'text-end', id: '0' })
    },
  })
  await pipeUIMessageStreamToResponse({ response, stream, headers: { connection: 'close' } })
}

serveCommands({
  listen: () => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))),
  begin: () => meter.begin(),
  end: () => meter.end(),
})
