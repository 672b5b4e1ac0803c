/** TanStack AI's client, cut after every frame on a real connection: over every engine it misses and repeats none. */
import { fetchHttpStream, fetchServerSentEvents, webSocket } from '@tanstack/ai-client'
import fc from 'fast-check'
import { createMillrace, type Engine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startFaultProxy } from '../src/index.ts'
import { engines } from './support/engines.ts'
import { frameEnds } from './support/frame-ends.ts'
import { talker, talkerTools } from './support/talker.ts'

const messages = [{ id: 'm', role: 'user' as const, parts: [{ type: 'text' as const, content: 'where?' }] }]

const forms = [
  ['server-sent events', '/tanstack', fetchServerSentEvents, '\n\n'],
  ['lines', '/tanstack/lines', fetchHttpStream, '}\n'],
] as const

async function start(engine: Engine) {
  const millrace = createMillrace({ engine, models: [talker('二')], model: 'talker', tools: talkerTools, dialects: ['tanstack'] })
  const { port } = await millrace.listen({ port: 0 })
  const proxy = await startFaultProxy(port)
  onTestFinished(async () => {
    await proxy[Symbol.asyncDispose]()
    await millrace.close()
  })
  return { millrace, port, proxy }
}

interface Asked {
  readonly url: string
  readonly open: (typeof forms)[number][2]
  readonly threadId?: string
  readonly runId?: string
}

async function ask({ url, open, threadId = 't', runId = 'r' }: Asked) {
  const connection = open(url, { reconnect: { delayMs: 0 } })
  const chunks: object[] = []
  for await (const chunk of connection.connect(messages as never, undefined, undefined, { threadId, runId })) chunks.push(chunk)
  return chunks as { type: string; delta?: string }[]
}

const textOf = (chunks: readonly { type: string; delta?: string }[]) =>
  chunks.map(({ type, delta }) => (type === 'TEXT_MESSAGE_CONTENT' ? delta : '')).join('')

describe.each(engines)('over %s', (_engine, openEngine) => {
  it.each(forms)('over %s has the same chunks, cut after any frame, of one run', async (_form, path, open, separator) => {
    const { millrace, port, proxy } = await start(await openEngine())
    const url = `${proxy.url}${path}`
    const whole = await ask({ url, open })
    expect(textOf(whole)).toBe('one 二you are in Bern')
    expect([whole[0]?.type, whole.at(-1)?.type]).toEqual(['RUN_STARTED', 'RUN_FINISHED'])
    const body = { threadId: 't', runId: 'r', messages: [{ id: 'm', role: 'user', content: 'where?' }] }
    const ends = (await frameEnds(port, path, body, separator)).slice(-whole.length)
    for (const end of ends) {
      const before = proxy.cuts
      proxy.cutAfter(end)
      const chunks = await ask({ url, open })
      // Who has the last frame, and not the end of the response, gets that frame again.
      expect(end === ends.at(-1) ? chunks.slice(0, -1) : chunks).toEqual(whole)
      expect(proxy.cuts).toBe(before + 1)
    }
    expect((await millrace.readSession('t'))?.runs).toHaveLength(1)
  })

  // Before its first frame a client has no place to resume at.
  it('is whole however a run in progress is cut, and is joined from its start', async () => {
    const { millrace, proxy } = await start(await openEngine())
    const url = `${proxy.url}/tanstack`
    let asked = 0
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 900, max: 4000 }), fc.integer({ min: 1, max: 4 }), async (bytes, times) => {
        const runId = `r${asked++}`
        proxy.cutAfter(bytes, times)
        const chunks = await ask({ url, open: fetchServerSentEvents, threadId: 'u', runId })
        expect(textOf(chunks)).toBe('one 二you are in Bern')
        expect(chunks.map(({ type }) => type).filter((type) => type.startsWith('RUN_'))).toEqual(['RUN_STARTED', 'RUN_FINISHED'])
        proxy.cutAfter(0, 0)
        const joined: object[] = []
        for await (const chunk of fetchServerSentEvents(url).joinRun(runId)) joined.push(chunk)
        expect(joined).toEqual(chunks)
      }),
      { numRuns: 12 },
    )
    expect((await millrace.readSession('u'))?.runs).toHaveLength(asked)
  })

  it('is whole over a WebSocket that is cut', async () => {
    const { millrace, proxy } = await start(await openEngine())
    const left = new AbortController()
    onTestFinished(() => left.abort())
    for (const bytes of [700, 900, 1100, 1300, 1500, 1700, 1900]) {
      const connection = webSocket(`${proxy.url}/tanstack/ws`, { reconnect: { delayMs: 0 } })
      const chunks = connection.subscribe(left.signal)[Symbol.asyncIterator]()
      const before = proxy.cuts
      proxy.cutAfter(bytes)
      await connection.send(messages as never, undefined, undefined, { threadId: 'w', runId: `w${bytes}` })
      const read: { type: string; delta?: string }[] = []
      while (read.at(-1)?.type !== 'RUN_FINISHED') read.push((await chunks.next()).value as { type: string })
      expect(textOf(read)).toBe('one 二you are in Bern')
      expect(read.filter(({ type }) => type === 'RUN_STARTED')).toHaveLength(1)
      expect(proxy.cuts).toBe(before + 1)
    }
    expect((await millrace.readSession('w'))?.runs).toHaveLength(7)
  })
})
