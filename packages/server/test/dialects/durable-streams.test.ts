/** The client of Durable Streams, as it is published, against sessions, runs, channels and streams of its own. */
import { DurableStream, FetchError, IdempotentProducer, stream } from '@durable-streams/client'
import { MillraceError } from '@millrace/protocol'
import { type Engine, type MillraceOptions, memoryEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { startRun, startServer } from '../support/server.ts'

const start = (options: MillraceOptions = {}) => startServer({ dialects: ['durable-streams'], ...options })

interface Message {
  readonly id: string
  readonly event: string
  readonly time: number
  readonly data: Record<string, unknown>
}

const textOf = (messages: readonly Message[]) => messages.map(({ data }) => (data.text as string | undefined) ?? '').join('')
const typesOf = (messages: readonly Message[]) => [...new Set(messages.map(({ event }) => event))]

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** All messages of a stream that is closed, in one of the ways to read it. */
async function readToEnd(url: string, live: boolean | 'long-poll' | 'sse', offset?: string) {
  const response = await stream<Message>({ url, live, ...(offset !== undefined && { offset }) })
  const messages = await collect(response.jsonStream())
  return { messages, offset: response.offset, streamClosed: response.streamClosed }
}

describe('a run', () => {
  it.each([false, true, 'long-poll', 'sse'] as const)('is read to its end by live: %s', async (live) => {
    const { url } = await start({ model: 'sim:count?n=30&tps=200' })
    const { run } = await startRun(url, { query: 'go' })
    if (live === false) await readToEnd(`${url}/ds/runs/${run}`, true)
    const { messages, streamClosed } = await readToEnd(`${url}/ds/runs/${run}`, live)
    expect(textOf(messages)).toBe(Array.from({ length: 30 }, (_, index) => `${index + 1} `).join(''))
    expect(typesOf(messages)).toEqual(['stream_start', 'message', 'stream_end'])
    expect(streamClosed).toBe(true)
  })

  it('is read on from the offset of any message, without a hole or a repeat', async () => {
    const { url } = await start({ model: 'sim:count?n=8&tps=0' })
    const { run, session } = await startRun(url, { query: 'go' })
    const { messages } = await readToEnd(`${url}/ds/runs/${run}`, true)
    for (const [index, { id }] of messages.entries()) {
      const [epoch, offset] = id.split('-')
      const rest = await readToEnd(`${url}/ds/runs/${run}`, true, `${epoch}_${offset?.padStart(16, '0')}`)
      expect(rest.messages).toEqual(messages.slice(index + 1))
      expect(rest.streamClosed).toBe(true)
    }
    // Another run in the same session is no part of it.
    const second = await startRun(url, { query: 'again', session })
    expect((await readToEnd(`${url}/ds/runs/${second.run}`, true)).messages.length).toBe(messages.length)
    expect((await readToEnd(`${url}/ds/runs/${run}`, true)).messages).toEqual(messages)
  })

  it('says where it ends and that it has, without a body', async () => {
    const { url } = await start()
    const { run } = await startRun(url, { query: 'go' })
    const { offset } = await readToEnd(`${url}/ds/runs/${run}`, true)
    const head = await new DurableStream({ url: `${url}/ds/runs/${run}` }).head()
    expect(head).toMatchObject({ exists: true, contentType: 'application/json', offset, streamClosed: true })
    const unknown = await fetch(`${url}/ds/runs/none`)
    expect([unknown.status, unknown.headers.get('content-type')]).toEqual([404, 'text/plain; charset=utf-8'])
    expect((await fetch(`${url}/ds/runs/${run}`, { method: 'POST', body: 'x' })).status).toBe(405)
  })
})

describe('a session and a channel', () => {
  it('stay open: what comes later is read by who waits', async () => {
    const { url, millrace } = await start()
    await millrace.publish({ channel: 'room:1', data: { n: 1 } })
    for (const live of ['long-poll', 'sse'] as const) {
      const seen: Message[] = []
      const leaving = new AbortController()
      const response = await stream<Message>({ url: `${url}/ds/channels/room:1`, live, signal: leaving.signal, offset: 'now' })
      response.subscribeJson((batch) => void seen.push(...batch.items))
      await millrace.publish({ channel: 'room:1', event: 'price', data: { live } })
      await expect
        .poll(() => seen)
        .toEqual([{ id: expect.any(String), event: 'price', time: expect.any(Number), data: { live } }])
      leaving.abort()
    }
    const all = await stream<Message>({ url: `${url}/ds/channels/room:1`, live: false })
    expect((await all.json()).map(({ data }) => data)).toEqual([{ n: 1 }, { live: 'long-poll' }, { live: 'sse' }])
    expect([all.upToDate, all.streamClosed]).toEqual([true, false])
  })

  it('have every event of a session, also bytes', async () => {
    const { url } = await start({ model: 'sim:count?n=3&tps=0' })
    const { session, run } = await startRun(url, { query: 'go' })
    await readToEnd(`${url}/ds/runs/${run}`, true)
    const response = await stream<Message>({ url: `${url}/ds/sessions/${session}`, live: false })
    const messages = await response.json()
    expect(textOf(messages)).toBe('1 2 3 ')
    expect(messages.every(({ id, time }) => /^[0-9a-z]+-[0-9]+$/.test(id) && time > 0)).toBe(true)
    expect(response.offset.split('_')).toEqual([messages[0]?.id.split('-')[0], String(messages.length).padStart(16, '0')])
  })

  it('answer with 410 where what follows an offset is no longer kept, and with 400 what is no offset', async () => {
    const { url, millrace } = await start({ engine: memoryEngine({ bytesMax: 4000 }) })
    await millrace.publish({ channel: 'c', data: 'first' })
    const early = (await fetch(`${url}/ds/channels/c?offset=now`)).headers.get('stream-next-offset') as string
    for (let n = 0; n < 100; n++) await millrace.publish({ channel: 'c', data: 'x'.repeat(100) })
    expect((await fetch(`${url}/ds/channels/c?offset=${early}`)).status).toBe(410)
    expect((await fetch(`${url}/ds/channels/c?offset=abcdefgh_0000000000000001`)).status).toBe(410)
    const late = early.replace(/_.*/, '_0000000000009999')
    const statuses = [late, 'x', '..', '', 'k3f9a2xq-42', '-2'].map(
      async (bad) => (await fetch(`${url}/ds/channels/c?offset=${bad}`)).status,
    )
    expect(await Promise.all(statuses)).toEqual([400, 400, 400, 400, 400, 400])
    await expect(stream({ url: `${url}/ds/channels/c`, offset: early })).rejects.toBeInstanceOf(FetchError)
  })
})

it('answers with 410 for a run whose beginning is no longer kept', async () => {
  const { url } = await start({ model: 'sim:count?n=100&tps=0', engine: memoryEngine({ bytesMax: 4000 }) })
  const { run } = await startRun(url, { query: 'go' })
  await expect
    .poll(async () => (await fetch(`${url}/ds/runs/${run}`, { method: 'HEAD' })).headers.get('stream-closed'))
    .toBe('true')
  expect((await fetch(`${url}/ds/runs/${run}`)).status).toBe(410)
})

describe('a stream of a client', () => {
  it.each([
    ['a few', 500, 10],
    ['more small ones than fit into one request', 60_000, 1],
    ['large ones', 12, 300_000],
  ])('is written by an idempotent producer and read by others: %s', async (_name, count, length) => {
    const { url, errors } = await start()
    const handle = await DurableStream.create({ url: `${url}/ds/streams/app/log`, contentType: 'application/json' })
    const failures: Error[] = []
    const producer = new IdempotentProducer(handle, 'writer', { autoClaim: true, onError: (error) => failures.push(error) })
    for (let n = 0; n < count; n++) producer.append(JSON.stringify({ n, text: 'x'.repeat(length) }))
    await producer.flush()
    await producer.close()
    expect([failures, errors]).toEqual([[], []])
    const response = await stream<{ n: number }>({ url: `${url}/ds/streams/app/log`, live: false })
    const seen = await collect(response.jsonStream())
    expect(seen.length).toBe(count)
    expect(seen.every(({ n }, index) => n === index)).toBe(true)
  })

  it('of text is written by the same producer, whose requests are larger than 1 MiB', async () => {
    const { url } = await start()
    const handle = await DurableStream.create({ url: `${url}/ds/streams/text`, contentType: 'text/plain' })
    const failures: Error[] = []
    const producer = new IdempotentProducer(handle, 'writer', { autoClaim: true, onError: (error) => failures.push(error) })
    const text = Array.from({ length: 40 }, (_, n) => `${n}`.padEnd(70_000, '语'))
    for (const part of text) producer.append(part)
    await producer.flush()
    await producer.close()
    expect(failures).toEqual([])
    // Asked once: none of it may be missing.
    const read = await (await stream({ url: `${url}/ds/streams/text`, live: false })).text()
    expect([read.length, read === text.join('')]).toEqual([2_800_000, true])
  })

  it('is never read as if it were complete where the engine fails in the middle', async () => {
    const memory = memoryEngine()
    let isFailing = false
    const engine: Engine = {
      ...memory,
      // The state is one event; what is after the first pages is data.
      async read(log, after, options) {
        if (isFailing && options?.eventsMax !== 1 && after.offset > 2) throw new MillraceError('engine_failed')
        return memory.read(log, after, options)
      },
    }
    const { url } = await start({ engine })
    const text = { 'content-type': 'text/plain' }
    await fetch(`${url}/ds/streams/long`, { method: 'PUT', headers: text })
    for (let n = 0; n < 4; n++)
      await fetch(`${url}/ds/streams/long`, { method: 'POST', headers: text, body: 'x'.repeat(1_000_000) })
    expect((await (await fetch(`${url}/ds/streams/long`)).text()).length).toBe(4_000_000)
    isFailing = true
    const read = async () => (await fetch(`${url}/ds/streams/long`)).text()
    await expect(read()).rejects.toThrow()
  })
})
