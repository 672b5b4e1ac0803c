/** The bytes on the wire, and the pure decisions behind them. */
import { describe, expect, it } from 'vitest'
import { memoryEngine } from '../../engines/memory/index.ts'
import { decideAppend } from './append.ts'
import { nextCursor } from './cursor.ts'
import { StreamError } from './errors.ts'
import { longPoll } from './live.ts'
import { viewLog, viewRun } from './log-view.ts'
import { formatPlace, parsePlace } from './offsets.ts'
import { type Answer, catchUp, type ReadQuery } from './reading.ts'
import { streamFrames } from './sse.ts'
import type { StreamState } from './state.ts'
import { createStreamStore } from './store.ts'
import type { View } from './view.ts'

const time = Date.UTC(2026, 10, 28)
const epoch = 'k3f9a2xq'
const clock = { now: () => time, random: () => 0.5 }
const atStart: ReadQuery = { offset: '-1', live: undefined, cursor: undefined }
const bytes = (text: string) => new TextEncoder().encode(text)

const textOf = (body: Answer['body']) => new Response(body as ReadableStream | Uint8Array<ArrayBuffer>).text()

function open() {
  const engine = memoryEngine({ epoch: () => epoch, now: () => time })
  return { engine, store: createStreamStore(engine, clock.now) }
}

async function framesOf(engine: ReturnType<typeof memoryEngine>, view: View): Promise<string> {
  const source = { name: 's', open: async () => view, watch: () => () => {} }
  const options = { ...clock, engine, source, view, query: atStart, waitMs: 0, signal: new AbortController().signal }
  let text = ''
  for await (const frame of streamFrames(options)) text += frame.text
  return text
}

describe('a stream on the wire', () => {
  it('is a run: each event a message with an offset, and closed after its end', async () => {
    const { engine } = open()
    await engine.append('s', [
      { type: 'stream_start', data: { session: 's', run: 'r', lanes: [] } },
      { type: 'message', data: { run: 'r', text: '你\n' } },
      { type: 'message', data: { run: 'other', text: 'no' } },
      { type: 'stream_end', data: { run: 'r', status: 'completed' } },
      { type: 'stream_start', data: { session: 's', run: 'next', lanes: [] } },
    ])
    const start = { epoch, offset: 0 }
    const view = viewRun(await viewLog(engine, 's'), { id: 'r', start }, { epoch, offset: 4 })
    expect(await framesOf(engine, view)).toBe(
      `event: data
data:[{"id":"k3f9a2xq-1","event":"stream_start","time":1795824000000,"data":{"session":"s","run":"r","lanes":[]}}]

event: control
data:{"streamNextOffset":"k3f9a2xq_0000000000000001","streamCursor":"3369600"}

event: data
data:[{"id":"k3f9a2xq-2","event":"message","time":1795824000000,"data":{"run":"r","text":"你\\n"}}]

event: control
data:{"streamNextOffset":"k3f9a2xq_0000000000000002","streamCursor":"3369600"}

event: data
data:[{"id":"k3f9a2xq-4","event":"stream_end","time":1795824000000,"data":{"run":"r","status":"completed"}}]

event: control
data:{"streamNextOffset":"k3f9a2xq_0000000000000004","upToDate":true,"streamClosed":true}

`,
    )
    const { headers, body } = await catchUp(
      engine,
      { name: 's', view },
      { ...atStart, offset: 'k3f9a2xq_0000000000000002' },
      null,
    )
    expect(await textOf(body)).toBe(
      '[{"id":"k3f9a2xq-4","event":"stream_end","time":1795824000000,"data":{"run":"r","status":"completed"}}]',
    )
    expect(headers).toEqual({
      'content-type': 'application/json',
      'stream-next-offset': 'k3f9a2xq_0000000000000004',
      'stream-up-to-date': 'true',
      'stream-closed': 'true',
      'cache-control': 'private, max-age=60, stale-while-revalidate=300',
      etag: '"s:k3f9a2xq_0000000000000002:k3f9a2xq_0000000000000004:c"',
    })
  })

  it('is a channel: bytes are base64 in an object', async () => {
    const { engine } = open()
    await engine.append('channel/c', [{ type: 'message', data: bytes('hi') }])
    const { body } = await catchUp(engine, { name: 'c', view: await viewLog(engine, 'channel/c') }, atStart, null)
    expect(await textOf(body)).toBe('[{"id":"k3f9a2xq-1","event":"message","time":1795824000000,"data":{"$binary":"aGk="}}]')
  })

  it('is text, whose line ends cannot make a frame, and bytes in base64', async () => {
    const { engine, store } = open()
    const text = await store.create(
      't',
      { contentType: 'text/plain', isClosed: true },
      bytes(' a\r\n\revent: control\ndata: {}\n'),
    )
    expect(await framesOf(engine, text.view)).toBe(
      'event: data\ndata:  a\ndata:\ndata:event: control\ndata:data: {}\ndata:\n\n' +
        'event: control\ndata:{"streamNextOffset":"k3f9a2xq_0000000000000001","upToDate":true,"streamClosed":true}\n\n',
    )
    const binary = await store.create('b', { contentType: 'image/png', isClosed: true }, new Uint8Array([0, 255, 10]))
    expect(await framesOf(engine, binary.view)).toMatch(/^event: data\ndata:AP8K\n\n/)
  })

  it('has an empty answer of each type, and one where it is empty', async () => {
    const { engine, store } = open()
    const { view } = await store.create('j', { contentType: 'application/json', isClosed: false }, bytes('[]'))
    const { body, headers } = await catchUp(engine, { name: 'j', view }, { ...atStart, offset: 'now' }, null)
    expect(await textOf(body)).toBe('[]')
    expect(headers).toMatchObject({ 'stream-next-offset': 'k3f9a2xq_0000000000000000', 'cache-control': 'no-store' })
    expect(headers.etag).toBeUndefined()
    expect(await framesOf(engine, view)).toBe(
      'event: control\ndata:{"streamNextOffset":"k3f9a2xq_0000000000000000","streamCursor":"3369600","upToDate":true}\n\n',
    )
  })
})

it('has what came between the first look of a reader and its wait', async () => {
  const { engine, store } = open()
  const { view, tail } = await store.create('s', { contentType: 'text/plain', isClosed: false }, bytes(''))
  await store.append('s', { contentType: 'text/plain', hasBody: true, isClosing: false }, bytes('meanwhile'))
  // The bell rang before there was a reader to call.
  const source = { name: 's', open: async () => (await store.open('s', true)).view, watch: () => () => {} }
  const query: ReadQuery = { offset: tail, live: 'long-poll', cursor: undefined }
  const options = { ...clock, engine, source, view, query, waitMs: 60_000, signal: new AbortController().signal }
  const { status, body } = await longPoll(options, null)
  expect([status, await textOf(body)]).toEqual([200, 'meanwhile'])
})

describe('a stream that is longer than what is kept', () => {
  const write = async (store: ReturnType<typeof open>['store'], name: string) => {
    for (let n = 0; n < 50; n++)
      await store.append(name, { contentType: 'text/plain', hasBody: true, isClosing: false }, bytes(`${n}`.padStart(100, '.')))
  }
  const small = () => {
    const engine = memoryEngine({ epoch: () => epoch, now: () => time, bytesMax: 4000 })
    return { engine, store: createStreamStore(engine, clock.now) }
  }

  it('is read from what is kept on, and answers an earlier offset with 410', async () => {
    const { engine, store } = small()
    const { tail } = await store.create('s', { contentType: 'text/plain', ttl: 9, isClosed: false }, bytes('first'))
    await write(store, 's')
    const { view, state } = await store.open('s', true)
    expect(state).toMatchObject({ contentType: 'text/plain', ttl: 9 })
    const { body, headers } = await catchUp(engine, { name: 's', view }, atStart, null)
    expect(await textOf(body)).toMatch(/^\.+[1-9][0-9]\..*49$/)
    expect(headers['stream-up-to-date']).toBe('true')
    await expect(catchUp(engine, { name: 's', view }, { ...atStart, offset: tail }, null)).rejects.toMatchObject({ status: 410 })
  })

  it('leaves a fork what the fork has of its own', async () => {
    const { engine, store } = small()
    await store.create('s', { contentType: 'text/plain', isClosed: false }, bytes('first'))
    const fork = await store.create('f', { isClosed: false, fork: { from: 's', subOffset: 0 } }, bytes('own'))
    await write(store, 's')
    const { view } = await store.open('f', true)
    const { body } = await catchUp(engine, { name: 'f', view }, atStart, null)
    expect(await textOf(body)).toBe('own')
    expect(fork.tail).toBe('k3f9a2xq_0000000000000001_k3f9a2xq_0000000000000001')
  })

  it('is never read across what is missing between two parts', async () => {
    const { engine, store } = small()
    const root = await store.create('root', { contentType: 'text/plain', isClosed: false }, bytes('root'))
    const middle = await store.create('middle', { isClosed: false, fork: { from: 'root', subOffset: 0 } }, bytes('middle'))
    await write(store, 'middle')
    await store.create('leaf', { isClosed: false, fork: { from: 'middle', subOffset: 0 } }, bytes('leaf'))
    const { view } = await store.open('leaf', true)
    const read = async (offset: string) =>
      await textOf((await catchUp(engine, { name: 'leaf', view }, { ...atStart, offset }, null)).body)
    expect(await read('-1')).toMatch(/^\.+[1-9][0-9]\..*49leaf$/)
    for (const offset of [root.tail, middle.tail, 'k3f9a2xq_0000000000000000'])
      await expect(read(offset)).rejects.toMatchObject({ status: 410 })
    // A live reader from the start goes on from there.
    const source = { name: 'leaf', open: async () => view, watch: () => () => {} }
    const query: ReadQuery = { offset: '-1', live: 'long-poll', cursor: undefined }
    const { status } = await longPoll(
      { ...clock, engine, source, view, query, waitMs: 0, signal: new AbortController().signal },
      null,
    )
    expect(status).toBe(200)
    const again = await store.create('again', { isClosed: false, fork: { from: 'leaf', subOffset: 0 } }, bytes(''))
    await expect(
      catchUp(engine, { name: 'again', view: again.view }, { ...atStart, offset: root.tail }, null),
    ).rejects.toMatchObject({ status: 410 })
  })
})

describe('offsets', () => {
  it('sort as text where they sort as positions, across forks too', () => {
    const places = [9, 10, 99, 100, 2 ** 40].map((offset) => [{ epoch, offset }])
    const fork = places.slice(0, 2).concat(
      [1, 2].map((offset) => [
        { epoch, offset: 10 },
        { epoch: 'aaaaaaaa', offset },
      ]),
    )
    for (const all of [places, fork]) expect(all.map(formatPlace).toSorted()).toEqual(all.map(formatPlace))
    for (const place of [...places, ...fork]) expect(parsePlace(formatPlace(place))).toEqual(place)
  })

  it('are nothing else', () => {
    for (const text of [
      '',
      'now',
      '1',
      `${epoch}_42`,
      `${epoch}-42`,
      `${epoch}_9999999999999999`,
      `x${'_'.repeat(300)}`,
      `${epoch}_0000000000000042 `,
    ])
      expect(parsePlace(text)).toBeUndefined()
    expect(parsePlace('-1')).toBe('start')
    expect(parsePlace('0000000000000000_0000000000000000')).toBe('start')
  })
})

it('gives a cursor that is greater than that of the client', () => {
  const interval = Number(nextCursor(undefined, time, 0))
  expect(nextCursor(`${interval - 1}`, time, 0)).toBe(`${interval}`)
  expect(nextCursor(`${interval}`, time, 0)).toBe(`${interval + 1}`)
  expect(nextCursor(`${interval}`, time, 0.999)).toBe(`${interval + 179}`)
  expect(nextCursor('no', time, 0)).toBe(`${interval}`)
})

describe('an append', () => {
  const state: StreamState = { contentType: 'text/plain', usedAt: 0, base: 0, tail: 0, seq: 'b', producers: [['p', 2, 5]] }
  const decide = (request: object, on = state) => {
    try {
      return decideAppend(on, { contentType: 'text/plain', hasBody: true, isClosing: false, ...request }, 'tail')
    } catch (error) {
      return error instanceof StreamError ? [error.status, error.headers] : error
    }
  }

  it('is accepted once for each number of a producer, in their order', () => {
    expect(decide({ producer: ['p', 2, 6] })).toEqual({ isRepeated: false, changes: { producers: [['p', 2, 6]] } })
    expect(decide({ producer: ['p', 2, 5] })).toEqual({ isRepeated: true, producer: ['p', 2, 5] })
    expect(decide({ producer: ['p', 2, 7] })).toEqual([409, { 'producer-expected-seq': '6', 'producer-received-seq': '7' }])
    expect(decide({ producer: ['p', 1, 6] })).toEqual([403, { 'producer-epoch': '2' }])
    expect(decide({ producer: ['p', 3, 1] })).toEqual([400, {}])
    expect(decide({ producer: ['q', 0, 1] })).toEqual([409, { 'producer-expected-seq': '0', 'producer-received-seq': '1' }])
    expect(decide({ producer: ['p', 3, 0] })).toMatchObject({ changes: { producers: [['p', 3, 0]] } })
  })

  it('is rejected in this order: closed, another type, a Stream-Seq that is not greater', () => {
    const closed: StreamState = { ...state, isClosed: true, closedBy: ['p', 2, 5] }
    const wrong = { contentType: 'image/png', seq: 'a' }
    expect(decide(wrong, closed)).toEqual([409, { 'stream-closed': 'true', 'stream-next-offset': 'tail' }])
    expect(decide(wrong)).toEqual([409, {}])
    expect(decide({ seq: 'b' })).toEqual([409, {}])
    expect(decide({ seq: 'c' })).toMatchObject({ changes: { seq: 'c' } })
    // Of the bytes of UTF-8: U+FF5E comes before U+1F600, whose UTF-16 begins with a smaller unit.
    expect(decide({ seq: '😀' }, { ...state, seq: '～' })).toMatchObject({ changes: { seq: '😀' } })
    expect(decide({ producer: ['p', 1, 0] }, closed)).toEqual([403, { 'producer-epoch': '2' }])
    expect(decide({ producer: ['p', 2, 5] }, closed)).toEqual({ isRepeated: true, producer: ['p', 2, 5] })
    expect(decide({ hasBody: false, isClosing: true }, closed)).toEqual({ isRepeated: true })
  })
})
