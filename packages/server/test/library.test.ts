import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Position } from '@millrace/protocol'
import { createMillrace, type MillraceOptions, memoryEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { counted, data, openStream, readStream, textOf } from './support/stream.ts'

function make(options: MillraceOptions = {}) {
  const millrace = createMillrace({ model: 'sim:count?n=5&tps=0', ...options })
  onTestFinished(() => millrace.close())
  return millrace
}

describe('fetch(request), for web-standard hosts', () => {
  it('streams, resumes and responds with errors like the server', async () => {
    const millrace = make()
    const ask = (headers = {}) => millrace.fetch(new Request('http://host/api/chat?query=x', { headers }))
    const response = await ask()
    expect(response.headers.get('cache-control')).toBe('no-store, no-transform')
    const events = await readStream(response, () => {}).rest()
    expect(textOf(events)).toBe(counted(1, 5))
    const resumed = await readStream(await ask({ 'last-event-id': events[2]?.id }), () => {}).rest()
    expect(textOf(resumed)).toBe(counted(3, 5))
    expect((await ask({ 'last-event-id': events.at(-1)?.id })).status).toBe(204)
    expect((await millrace.fetch(new Request('http://host/api/chat'))).status).toBe(400)
  })

  it('gives each reader its own memory, which it may transfer', async () => {
    const model = gatedModel()
    const millrace = make({ models: [model], model: 'gated' })
    await millrace.ask({ query: 'x', id: 'r' })
    const readers = await Promise.all(
      [1, 2].map(async () => (await millrace.fetch(new Request('http://host/api/chat?query=x&id=r'))).body?.getReader()),
    )
    await Promise.all(readers.map(async (reader) => reader?.read()))
    await Promise.all(readers.map(async (reader) => reader?.read()))
    model.say('shared')
    const chunks = await Promise.all(readers.map(async (reader) => (await reader?.read())?.value as Uint8Array<ArrayBuffer>))
    structuredClone(chunks[0]?.buffer, { transfer: [chunks[0]?.buffer as ArrayBuffer] })
    expect(Buffer.from(chunks[1] as Uint8Array).toString()).toMatch('shared')
  })

  it('closes the cursor when the host cancels the stream, and the run continues', async () => {
    const model = gatedModel()
    const millrace = make({ models: [model], model: 'gated' })
    const response = await millrace.fetch(new Request('http://host/api/chat?query=x&id=r'))
    expect(millrace.connections).toBe(1)
    await response.body?.cancel()
    expect(millrace.connections).toBe(0)
    model.finish()
    expect((await millrace.findRun('r')?.ended)?.status).toBe('completed')
  })

  it('waits for a slow reader instead of filling memory', async () => {
    const millrace = make()
    const run = await millrace.run({ id: 'r', source: Array.from({ length: 500 }, () => 'x'.repeat(10_000)) })
    const response = await millrace.fetch(new Request(`http://host/api/stream?session=${run.session}`))
    await run.ended
    const stream = readStream(response, () => void response.body?.cancel())
    expect(textOf(await stream.until('stream_end'))).toHaveLength(5_000_000)
  })
})

describe('handler(request, response, next)', () => {
  it('serves Millrace inside any node:http server and leaves other paths to it', async () => {
    const millrace = make()
    const server = createServer((request, response) => millrace.handler(request, response, () => response.end('mine')))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await (await fetch(`${url}/about`)).text()).toBe('mine')
    expect(textOf(await (await openStream(`${url}/api/chat?query=x`)).rest())).toBe(counted(1, 5))
  })
})

describe('run({ session, source })', () => {
  it('takes text and events from the caller, and every reader gets them', async () => {
    const millrace = make()
    async function* source() {
      yield 'Hello, '
      yield { text: 'world' }
      yield { data: { name: 'done', value: true } }
      yield { finishReason: 'stop' } as const
    }
    const run = await millrace.run({ session: 'room', query: 'greet', source: source() })
    const { url } = await millrace.listen({ port: 0 })
    const events = await (await openStream(`${url}/api/stream?session=room`)).until('stream_end')
    expect(textOf(events)).toBe('Hello, world')
    expect(data(events[0] as never)).toMatchObject({ query: 'greet', run: run.id, lanes: [{ lane: 'app', model: 'app' }] })
    expect(await run.ended).toMatchObject({ status: 'completed', finishReason: 'stop' })
    expect((await millrace.readSession('room'))?.runs).toMatchObject([{ status: 'completed', lanes: [{ text: 'Hello, world' }] }])
  })

  it('writes only whole characters to the log, and splits what is larger than an event', async () => {
    const millrace = make()
    const large = '😀'.repeat(100_000)
    const source = ['a \ud83d', { reasoning: 'b\ud83d' }, '\ude00', { data: { name: 'n', value: ['\ud83d'] } }, large, 'c\ud83d']
    const run = await millrace.run({ session: 'whole', source })
    expect((await run.ended).status).toBe('completed')
    const { head } = (await millrace.engine.inspect('whole')) as { head: Position }
    const { events } = await millrace.engine.read('whole', { ...head, offset: 0 }, { eventsMax: 100, bytesMax: 10_000_000 })
    const said = events.slice(1, -1).map(({ data }) => data) as { text?: string; reasoning?: string; value?: unknown }[]
    for (const each of said) expect(JSON.stringify(each)).not.toMatch(/\\ud[89a-f]/)
    expect(said.map(({ text = '' }) => text).join('')).toBe(`a 😀${large}c\ufffd`)
    expect(said.map(({ reasoning = '' }) => reasoning).join('')).toBe('b\ufffd')
    expect(said.find(({ value }) => value !== undefined)?.value).toEqual(['\ufffd'])
  })

  it('rejects arguments that cannot become a run, at once and with a code', async () => {
    const millrace = make()
    const refusal = (asked: Promise<unknown>) =>
      asked.then(
        () => 'taken',
        (error: { code?: string }) => error.code,
      )
    expect(await refusal(millrace.run({ session: 'a\nb', source: [] }))).toBe('invalid_id')
    expect(await refusal(millrace.run({ id: '', source: [] }))).toBe('invalid_id')
    expect(await refusal(millrace.ask({ query: 'x', session: 'a b' }))).toBe('invalid_id')
    expect(await refusal(millrace.ask({ query: 'x', models: [] }))).toBe('invalid_request')
    for (const model of ['', 'a\nb', 'a\rb', 'a\0b', 'a\u0085b', 'a\u2028b', 'x'.repeat(257)]) {
      expect(await refusal(millrace.run({ model, source: [] }))).toBe('invalid_request')
      expect(() => createMillrace({ models: { [model]: { name: 'x', async *stream() {} } } })).toThrow('needs a name')
      const query = new URLSearchParams({ query: 'x', model })
      expect((await millrace.fetch(new Request(`http://host/api/chat?${query.toString()}`))).status).toBe(400)
    }
  })

  it("aborts the source's signal when the run is stopped", async () => {
    const millrace = make()
    const begun = Promise.withResolvers<void>()
    const told = Promise.withResolvers<void>()
    const run = await millrace.run({
      async *source(signal) {
        yield 'begun'
        begun.resolve()
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
        told.resolve()
      },
    })
    await begun.promise
    run.stop()
    await told.promise
    expect((await run.ended).status).toBe('stopped')
  })
})

describe('health', () => {
  it('reports that the server is stopping', async () => {
    const millrace = make()
    expect(await (await millrace.fetch(new Request('http://host/healthz'))).json()).toMatchObject({ status: 'ok' })
    const closing = millrace.close()
    const response = await millrace.fetch(new Request('http://host/healthz'))
    expect([response.status, await response.json()]).toMatchObject([503, { status: 'stopping' }])
    await closing
  })
})

describe('a server that stops', () => {
  it('still stops runs and returns sessions on open connections, and accepts nothing else', async () => {
    const model = gatedModel()
    const millrace = make({ models: [model], model: 'gated' })
    const { url } = await millrace.listen({ port: 0 })
    // One connection, opened before and kept.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const call = async (method: string, path: string, body?: object) => {
      const headers = { 'content-type': 'application/json', accept: 'application/json' }
      const asking = request(`${url}${path}`, { agent, method, headers }).end(body && JSON.stringify(body))
      const [answer] = (await once(asking, 'response')) as [IncomingMessage]
      const said = await text(answer)
      return [answer.statusCode, said === '' ? undefined : JSON.parse(said)] as const
    }
    const [, started] = await call('POST', '/api/chat', { query: 'x', id: 'r' })
    const { session } = started as { session: string }
    const closing = millrace.close({ graceMs: 60_000 })
    expect(await call('POST', '/api/chat', { query: 'y' })).toMatchObject([503, { error: { code: 'server_stopping' } }])
    expect(await call('DELETE', `/api/sessions/${session}`)).toMatchObject([503, { error: { code: 'server_stopping' } }])
    expect(await call('GET', '/healthz')).toMatchObject([503, { status: 'stopping' }])
    expect(await call('GET', '/api/sessions')).toMatchObject([200, { sessions: [{ id: session }] }])
    expect(await call('GET', `/api/sessions/${session}`)).toMatchObject([200, { runs: [{ status: 'streaming' }] }])
    expect(await call('POST', '/api/heartbeat', { stream: 'mine' })).toEqual([204, undefined])
    expect(await call('POST', '/api/runs/r/stop', {})).toMatchObject([200, { status: 'stopped' }])
    await closing
  })
})

describe('readers that a server disconnects all at once', () => {
  it.each([false, true])('are not asked to reconnect within a second; with a shared engine: %s', async (isShared) => {
    const millrace = make({ engine: { ...memoryEngine(), isShared } })
    await millrace.engine.append('s', [])
    const stream = await millrace.fetch(new Request('http://host/api/stream?session=s'))
    await millrace.close()
    expect(await stream.text()).toMatch(/^retry: [12]\d{3}\n\n: millrace\n\n$/)
  })
})

describe('listen(options)', () => {
  it('may be called more than once, and close() closes every server', async () => {
    const millrace = make()
    const servers = [await millrace.listen({ port: 0 }), await millrace.listen({ port: 0 })]
    for (const { url } of servers) expect((await fetch(`${url}/healthz`)).status).toBe(200)
    await millrace.close()
    for (const { url } of servers) await expect(fetch(`${url}/healthz`)).rejects.toThrow()
  })
})

it.each([28_000, 25_001, 0, -1, Number.NaN])('rejects a heartbeat of %d ms, and names the timeout of clients', (heartbeatMs) => {
  expect(() => createMillrace({ heartbeatMs })).toThrow(new RegExp(`heartbeatMs is ${heartbeatMs} .* 28000 ms`))
})
