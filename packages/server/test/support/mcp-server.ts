/** A server of the Model Context Protocol over standard input and output, with one tool that may fail. */
import { createInterface } from 'node:readline'

interface Request {
  readonly id?: number
  readonly method: string
  readonly params?: { readonly protocolVersion?: string; readonly arguments?: { readonly city?: string } }
}

const tool = {
  name: 'weather',
  description: 'The weather in a city.',
  inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
}

function answer({ method, params = {} }: Request): object {
  if (method === 'initialize') {
    const { protocolVersion } = params
    return { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'weather', version: '1' } }
  }
  if (method === 'tools/list') return { tools: [tool] }
  const { city = '' } = params.arguments ?? {}
  const text = city === 'Atlantis' ? 'There is no such city.' : `31 in ${city}`
  return { content: [{ type: 'text', text }], isError: city === 'Atlantis' }
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as Request
  if (request.id === undefined) continue
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: request.id, result: answer(request) })}\n`)
}
