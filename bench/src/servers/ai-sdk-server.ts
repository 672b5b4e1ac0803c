/** What the control rows for dialects share: an HTTP server in front of the AI SDK, which asks for a number of tokens. It keeps nothing. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { UIMessage } from 'ai'
import { createMeter, serveCommands } from '../processes.ts'

export function serveChat(answer: (messages: UIMessage[], response: ServerResponse) => Promise<void>): void {
  const meter = createMeter()
  const server = createServer((request, response) => void read(request).then((messages) => answer(messages, response)))
  serveCommands({
    listen: () => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))),
    begin: () => meter.begin(),
    end: () => meter.end(),
  })
}

async function read(request: IncomingMessage): Promise<UIMessage[]> {
  const { messages } = (await new Response(request as unknown as ReadableStream).json()) as { messages: UIMessage[] }
  return messages
}
