/** A model provider on this machine that speaks OpenAI's protocol and fails in the ways that providers do. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import type { Chance } from './chance.ts'

export const faults = [
  'whole',
  'only says that it is done',
  'stays open',
  'refuses',
  'is silent',
  'stalls',
  'drops',
  'sends garbage',
  'ends early',
  'breaks off',
  'never ends',
] as const

/** How it behaves on one question. */
export interface Behaviour {
  readonly fault: (typeof faults)[number]
  /** Words before the fault. */
  readonly words: number
  /** Milliseconds between two words, less than the server's idle timeout. */
  readonly paceMs: number
  readonly status: number
  readonly garbage: string
  /** The finish reason of `breaks off`. */
  readonly reason: string
}

/** The status that the run must end with. */
export function endOf({ fault, words }: Behaviour): 'completed' | 'failed' {
  if (fault === 'only says that it is done') return words > 0 ? 'completed' : 'failed'
  return fault === 'whole' || fault === 'stays open' ? 'completed' : 'failed'
}

export function chooseBehaviour(chance: Chance, fault: Behaviour['fault']): Behaviour {
  return {
    fault,
    words: chance.whole(0, 20),
    paceMs: chance.whole(0, 8),
    status: chance.pick([400, 401, 404, 429, 500, 503]),
    garbage: chance.pick([
      'data: {"choices":[{"delta":\n\n',
      'data: {"error":{"message":"secret detail","code":500}}\n\n',
      'data: 42\n\n',
      'data: {"code":429,"message":"secret detail"}\n\n',
      `data: ${'x'.repeat(chance.whole(1, 100_000))}\n\n`,
    ]),
    reason: chance.pick(['error', 'insufficient_system_resource', 'network_error', 'abort']),
  }
}

/** What one question has received so far. */
export interface Asked {
  requests: number
  text: string
}

export interface Provider {
  /** Base URL of the API. */
  readonly url: string
  /** Sets the behaviour for a question. */
  expect(question: string, behaviour: Behaviour): Asked
}

export async function startProvider(): Promise<Provider> {
  const expected = new Map<string, { readonly behaviour: Behaviour; readonly asked: Asked }>()
  const server = createServer((request, response) => {
    void (async () => {
      let body = ''
      for await (const chunk of request) body += String(chunk)
      const { messages } = JSON.parse(body) as { messages: { content: string }[] }
      const { behaviour, asked } = expected.get(messages.at(-1)?.content ?? '') ?? {}
      if (behaviour === undefined || asked === undefined) throw new Error(`Nobody was to ask: ${body}`)
      asked.requests += 1
      await behave(behaviour, asked, response)
    })().catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    expect(question, behaviour) {
      const asked = { requests: 0, text: '' }
      expected.set(question, { behaviour, asked })
      return asked
    },
  }
}

async function behave(
  { fault, words, paceMs, status, garbage, reason }: Behaviour,
  asked: Asked,
  response: ServerResponse,
): Promise<void> {
  if (fault === 'is silent') return
  if (fault === 'refuses') {
    response.writeHead(status, { 'content-type': 'application/json' })
    return void response.end(JSON.stringify({ error: { message: 'secret detail', type: 'error', code: 'x' } }))
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const count = fault === 'never ends' ? Number.POSITIVE_INFINITY : words
  for (let n = 1; n <= count && !response.destroyed; n++) {
    const word = `${n} `
    asked.text += word
    response.write(chunk({ content: word }))
    await sleep(fault === 'never ends' ? 1 : paceMs)
  }
  if (fault === 'stalls') return
  // After the last word, and without the chunk that ends the body.
  if (fault === 'drops') return response.socket?.destroySoon()
  if (fault === 'sends garbage') response.write(garbage)
  if (fault === 'whole' || fault === 'stays open') response.write(chunk({}, 'stop'))
  if (fault === 'breaks off') response.write(chunk({}, reason))
  if (fault === 'stays open') return void response.write(': still here\n\n')
  response.end(fault === 'ends early' ? '' : 'data: [DONE]\n\n')
}

function chunk(delta: object, finish: string | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finish }]
  return `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'fake', choices })}\n\n`
}
