/** Nodes over one engine, some that can be killed, and their sessions as a client reads them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createMillrace, type Engine, type Millrace, type Model } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { redisEngine } from 'millrace/redis'
import { afterAll, onTestFinished } from 'vitest'
import { startNats } from '../../src/servers/nats.ts'
import { startRedis } from '../../src/servers/redis.ts'

const leaseMs = 600
/** A Redis and a NATS for all tests of a file. */
export async function startShared() {
  const [redis, nats] = await Promise.all([startRedis(), startNats()])
  afterAll(() => Promise.all([redis.close(), nats.close()]))
  return [
    { name: 'redis', url: redis.url, make: (): Engine => redisEngine({ url: redis.url }), flush: () => redis.say('FLUSHALL') },
    { name: 'nats', url: nats.url, make: (): Engine => natsEngine({ url: nats.url }), flush: () => nats.purge('millrace') },
  ]
}

export async function openNodeOver(
  engine: Engine,
  models: readonly Model[] = [],
  heartbeatMs = 15_000,
): Promise<{ millrace: Millrace; url: string }> {
  const millrace = createMillrace({ engine, leaseMs, models, heartbeatMs, onError: () => {} })
  onTestFinished(() => millrace.close())
  return { millrace, url: (await millrace.listen({ port: 0 })).url }
}

/** A node that can be killed. */
export async function startNodeOver(engine: string) {
  const script = fileURLToPath(new URL('../../src/faults/node-process.ts', import.meta.url))
  const args = ['--conditions=millrace-source', script, engine, String(leaseMs)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [address] = (await once(child.stdout, 'data')) as [Buffer]
  return { url: String(address).trim(), child }
}

export async function post<T>(url: string, body: object = {}): Promise<T> {
  const headers = { 'content-type': 'application/json', accept: 'application/json' }
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
  return (await answer.json()) as T
}

export interface Started {
  readonly session: string
  readonly run: string
  readonly position: string
}

interface SessionEvent {
  readonly event: string
  readonly id: string
  readonly data: { readonly run: string; readonly text?: string; readonly status?: string }
}

/** The events of a session, as one node gives them. */
export async function* follow(url: string, session: string, from = 'start'): AsyncGenerator<SessionEvent> {
  const abort = new AbortController()
  try {
    const { body } = await fetch(`${url}/api/stream?session=${session}&from=${from}`, { signal: abort.signal })
    let text = ''
    for await (const chunk of (body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
      text += chunk
      const blocks = text.split('\n\n')
      text = blocks.pop() as string
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1] ?? ''
        if (field('data') !== '') yield { event: field('event'), id: field('id'), data: JSON.parse(field('data')) }
      }
    }
  } finally {
    abort.abort()
  }
}

export async function readToEnd(url: string, { session, run }: Started, onEvent: (text: string) => void = () => {}) {
  let text = ''
  for await (const { event, data } of follow(url, session)) {
    if (data.run !== run) continue
    if (event === 'message') text += data.text
    onEvent(text)
    if (event === 'stream_end') return { text, status: data.status }
  }
  throw new Error('The stream ended without an end of the run.')
}

export const numbersOf = (text: string): number[] => text.trim().split(' ').map(Number)
export const countTo = (text: string): number[] => numbersOf(text).map((_, index) => index + 1)
