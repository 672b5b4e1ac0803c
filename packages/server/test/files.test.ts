/** Files in answers: PROTOCOL.md#files. */
import { limits, readBinary } from '@millrace/protocol'
import { type Engine, memoryEngine, type NewEvent } from 'millrace'
import { describe, expect, it } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { counted, data, openStream, textOf } from './support/stream.ts'

const asked = (model: string) => `query=x&model=${encodeURIComponent(model)}`
const file = { mediaType: 'text/plain', name: '说明.txt', bytes: Uint8Array.of(0, 1, 255) }
const largest = { mediaType: 'application/octet-stream', bytes: new Uint8Array(limits.fileBytesMax) }

/** A memory engine that waits one turn of the event loop for every batch, and records it. */
function notingEngine() {
  const batches: (readonly NewEvent[])[] = []
  const inner = memoryEngine()
  const append: Engine['append'] = async (log, events, options) => {
    await new Promise(setImmediate)
    batches.push(events)
    return inner.append(log, events, options)
  }
  return { batches, engine: { ...inner, append }, files: () => batches.filter(([first]) => first?.type === 'file').length }
}

async function readSession(url: string, session: string) {
  const { runs } = (await (await fetch(`${url}/api/sessions/${session}`)).json()) as {
    runs: { run: string; status: string; usage: object; lanes: { text: string; files: Record<string, unknown>[] }[] }[]
  }
  return runs
}

/** The events behind a position, as long-poll returns them. */
async function readAfter(url: string, session: string, position: unknown) {
  const query = new URLSearchParams({ session, from: String(position), live: 'poll' }).toString()
  const { events } = (await (await fetch(`${url}/api/stream?${query}`)).json()) as { events: { event: string; data: unknown }[] }
  return events[0]
}

describe('a file that a model produces', () => {
  it('is two events of one append that contains nothing else, whatever is written at the same time', async () => {
    const { engine, batches, files: kept } = notingEngine()
    let given = 0
    let waiting = 0
    async function* stream() {
      for (let number = 1; number <= 20; number++) {
        given += 1
        waiting = Math.max(waiting, given - kept())
        // The first one is written at once.
        yield { file: largest }
        yield `${number} `
      }
    }
    const names = ['a', 'b', 'c']
    const { millrace, url } = await startServer({ engine, models: names.map((name) => ({ name, stream })) })
    const { run, session } = await startRun(url, { query: 'x', models: names })
    expect(await millrace.findRun(run)?.ended).toMatchObject({ status: 'completed' })
    const withFiles = batches.filter((batch) => batch.some(({ type }) => type.startsWith('file')))
    expect(withFiles).toHaveLength(60)
    for (const batch of withFiles) {
      expect(batch.map(({ type }) => type)).toEqual(['file', 'file_data'])
      expect(batch[1]?.data).toHaveLength(limits.fileBytesMax)
    }
    // Each lane has one in flight and one waiting, however fast it is.
    expect(waiting).toBeLessThanOrEqual(2 * names.length)
    const [{ lanes } = { lanes: [] }] = await readSession(url, session)
    for (const { text, files } of lanes) {
      expect(text).toBe(counted(1, 20))
      expect(files).toHaveLength(20)
    }
  })

  it('is copied: the model may reuse its memory', async () => {
    const { engine, batches } = notingEngine()
    const bytes = Uint8Array.of(1, 1)
    const source = function* () {
      yield { file: { ...file, bytes } }
      bytes.fill(2)
      yield { file: { ...file, bytes: Buffer.from(bytes.buffer, 1) } }
      bytes.fill(3)
    }
    const { millrace } = await startServer({ engine })
    await (await millrace.run({ source })).ended
    const given = batches.flat().filter(({ type }) => type === 'file_data')
    expect(given.map(({ data: kept }) => kept)).toEqual([Uint8Array.of(1, 1), Uint8Array.of(2)])
  })

  it('is delivered in its place, over SSE with its bytes as base64, and can be read from there', async () => {
    const { url, millrace } = await startServer()
    const { session, run } = await startRun(url, { query: 'x', model: 'sim:file?after=100&tps=0' })
    await millrace.findRun(run)?.ended
    // A reader from the start is behind, and gets merged text.
    const events = await (await openStream(`${url}/api/stream?session=${session}`)).until('stream_end')
    const at = events.findIndex(({ event }) => event === 'file')
    expect(textOf(events.slice(0, at))).toBe(counted(1, 100))
    expect(textOf(events.slice(at))).toBe(counted(101, 200))
    expect(events.length).toBeLessThan(20)
    const lane = 'sim:file?after=100&tps=0'
    const told = data(events[at] as never)
    expect(told).toEqual({ run, lane, mediaType: 'image/png', name: 'wheel.png', size: expect.any(Number) })
    expect(events[at + 1]?.event).toBe('file_data')
    const bytes = readBinary(data(events[at + 1] as never)) as Uint8Array
    expect(bytes).toHaveLength(told.size as number)
    expect(Buffer.from(bytes.subarray(1, 4)).toString()).toBe('PNG')

    const [record] = await readSession(url, session)
    const { run: _, lane: _lane, ...rest } = told
    expect(record?.lanes[0]?.files).toEqual([{ ...rest, position: events[at]?.id }])
    const read = await readAfter(url, session, events[at]?.id)
    expect(read).toMatchObject({ event: 'file_data' })
    expect(readBinary(read?.data)).toEqual(bytes)
    const markdown = await (await fetch(`${url}/api/sessions/${session}/export`)).text()
    expect(markdown).toContain(`200\n\n*wheel.png* (image/png, ${String(told.size)} bytes)\n`)
  })

  it('is delivered without its bytes to a reader of one run, which resumes after a cut there', async () => {
    const { url } = await startServer()
    const address = `${url}/api/chat?${asked('sim:file?after=3&tps=0')}`
    const events = await (await openStream(address)).rest()
    const told = events.find(({ event }) => event === 'file')
    expect(events.map(({ event }) => event)).not.toContain('file_data')
    expect(data(told as never)).toEqual({ mediaType: 'image/png', name: 'wheel.png', size: expect.any(Number) })
    expect(textOf(events)).toBe(counted(1, 6))
    const plain = await openStream(`${url}/api/stream?session=${String(data(events[0] as never).session)}&shape=plain`)
    const types = (all: typeof events) => all.map(({ event }) => event)
    expect(types(await plain.until('stream_end'))).toEqual(types(events))
    const id = told?.id as string
    expect(await readAfter(url, id.split(':')[0] as string, id)).toMatchObject({ event: 'file_data' })
    // Also after the bytes, as a reader of the session does.
    for (const position of [id, id.replace(/\d+$/, (offset) => String(Number(offset) + 1))]) {
      const resumed = await (await openStream(address, { headers: { 'last-event-id': position } })).rest()
      expect(textOf(resumed)).toBe(counted(4, 6))
    }
  })

  it('is left out of the exchange of the reference document', async () => {
    const { url } = await startServer({ model: 'sim:file?after=2&tps=0' })
    const socket = await openSocket(url)
    socket.send({ query: 'x' })
    const messages = await socket.until((message) => 'status' in message)
    expect(messages.slice(0, -1)).toEqual([{ text: '1 ' }, { text: '2 ' }, { text: '3 ' }, { text: '4 ' }])
  })

  it('is kept when the answer is cut after it, is continued, and is asked about', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ models: [model], model: 'gated' })
    const { session, run } = await startRun(url, { query: 'x' })
    model.say('half', { file })
    await using stream = await openStream(`${url}/api/stream?session=${session}`)
    await stream.until('file_data')
    millrace.findRun(run)?.stop()
    await stream.until('stream_end')
    await fetch(`${url}/api/runs/${run}/continue`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: '{"id":"next"}',
    })
    model.say({ file: { ...file, bytes: Buffer.from('more') } }, ' and half')
    model.finish()
    await stream.until('stream_end')
    const runs = await readSession(url, session)
    expect(runs.map(({ lanes }) => lanes[0]?.files.map(({ name, size }) => [name, size]))).toEqual([
      [[file.name, 3]],
      [[file.name, 4]],
    ])
    const next = await readAfter(url, session, runs[1]?.lanes[0]?.files[0]?.position)
    expect(Buffer.from(readBinary(next?.data) as Uint8Array).toString()).toBe('more')
    await startRun(url, { query: 'and?', session })
    expect(model.requests.at(-1)?.messages.map(({ text }) => text)).toEqual(['x', 'half and half', 'and?'])
  })

  it('counts as text of the answer when its process dies, and does not prevent its end', async () => {
    const engine: Engine = { ...memoryEngine(), isDurable: true }
    const start = { run: 'r', session: 's', query: 'x', lanes: [{ lane: 'm', model: 'm' }] }
    await engine.append('s', [{ type: 'stream_start', data: start }])
    await engine.append('s', [
      { type: 'file', data: { run: 'r', lane: 'm', mediaType: 'text/plain', size: 3 } },
      { type: 'file_data', data: file.bytes },
    ])
    const { url } = await startServer({ engine })
    const [record] = await readSession(url, 's')
    expect(record).toMatchObject({ status: 'interrupted', usage: { outputTokens: 1 }, lanes: [{ files: [{ size: 3 }] }] })
  })
})

describe('a file fails its lane', () => {
  it.each([
    ['without a media type', { ...file, mediaType: undefined }],
    ['whose media type is none', { ...file, mediaType: 'text' }],
    ['whose media type has a line end', { ...file, mediaType: 'text/plain\r\n' }],
    ['whose media type is too long', { ...file, mediaType: `text/${'x'.repeat(128)}` }],
    ['without a name in its name', { ...file, name: '' }],
    ['whose name is too long', { ...file, name: 'x'.repeat(256) }],
    ['whose name has a control character', { ...file, name: 'a\u0000b' }],
    ['without bytes', { ...file, bytes: 'bytes' }],
    ['that is too large', { ...largest, bytes: new Uint8Array(limits.fileBytesMax + 1) }],
    ['that is none', null],
  ])('%s, and earlier text is kept', async (_, bad) => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated' })
    model.say('so far', { file: bad } as never, 'never said')
    const events = await (await openStream(`${url}/api/chat?query=x`)).rest()
    expect(events.map(({ event }) => event)).toEqual(['stream_start', 'message', 'stream_end'])
    expect(data(events.at(-1) as never)).toMatchObject({ status: 'failed', error: { code: 'model_failed' } })
  })

  it('and the largest allowed one is one event on every wire', async () => {
    const model = gatedModel('m'.repeat(200))
    const { url } = await startServer({ models: [model], model: model.name })
    const { session } = await startRun(url, { query: 'x' })
    const bytes = new Uint8Array(limits.fileBytesMax).fill(255)
    model.say({ file: { ...largest, name: '名'.repeat(255), bytes } })
    model.finish()
    const [, told, given] = await (await openStream(`${url}/api/stream?session=${session}`)).until('stream_end')
    expect((told?.data.length ?? 0) + (given?.data.length ?? 0)).toBeLessThan(limits.eventBytesMax)
    expect(Buffer.from(readBinary(data(given as never)) as Uint8Array).equals(bytes)).toBe(true)
  })
})
