/** Several servers over one engine: whichever is asked, it is the same run. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { connect } from '@millrace/client'
import { parsePosition } from '@millrace/protocol'
import { createMillrace, type Engine, type Millrace, MillraceError, type Model } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { redisEngine } from 'millrace/redis'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { startFaultProxy } from '../src/fault-proxy.ts'
import { startNats } from '../src/servers/nats.ts'
import { startRedis } from '../src/servers/redis.ts'

const leaseMs = 600
const redis = await startRedis()
const nats = await startNats()
afterAll(() => Promise.all([redis.close(), nats.close()]))
const shared = [
  { name: 'redis', url: redis.url, make: (): Engine => redisEngine({ url: redis.url }), flush: () => redis.say('FLUSHALL') },
  { name: 'nats', url: nats.url, make: (): Engine => natsEngine({ url: nats.url }), flush: () => nats.purge('millrace') },
]

async function openNodeOver(
  engine: Engine,
  models: readonly Model[] = [],
  heartbeatMs = 15_000,
): Promise<{ millrace: Millrace; url: string }> {
  const millrace = createMillrace({ engine, leaseMs, models, heartbeatMs, onError: () => {} })
  onTestFinished(() => millrace.close())
  return { millrace, url: (await millrace.listen({ port: 0 })).url }
}

/** A node that can be killed. */
async function startNodeOver(engine: string) {
  const script = fileURLToPath(new URL('../src/faults/node-process.ts', import.meta.url))
  const args = ['--conditions=source', script, engine, String(leaseMs)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [address] = (await once(child.stdout, 'data')) as [Buffer]
  return { url: String(address).trim(), child }
}

async function post<T>(url: string, body: object = {}): Promise<T> {
  const headers = { 'content-type': 'application/json', accept: 'application/json' }
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
  return (await answer.json()) as T
}

interface Started {
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
async function* follow(url: string, session: string, from = 'start'): AsyncGenerator<SessionEvent> {
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

async function readToEnd(url: string, { session, run }: Started, onEvent: (text: string) => void = () => {}) {
  let text = ''
  for await (const { event, data } of follow(url, session)) {
    if (data.run !== run) continue
    if (event === 'message') text += data.text
    onEvent(text)
    if (event === 'stream_end') return { text, status: data.status }
  }
  throw new Error('The stream ended without an end of the run.')
}

const numbersOf = (text: string): number[] => text.trim().split(' ').map(Number)
const countTo = (text: string): number[] => numbersOf(text).map((_, index) => index + 1)

describe.each(shared)('several servers over $name', ({ url: engineUrl, make, flush }) => {
  const openNode = (models?: readonly Model[], heartbeatMs?: number) => openNodeOver(make(), models, heartbeatMs)
  const startNode = () => startNodeOver(engineUrl)

  it('start on one, read on another, stop on a third: all see the same end', async () => {
    const [a, b, c] = await Promise.all([openNode(), openNode(), openNode()])
    const started = await post<Started>(`${a.url}/api/chat`, { query: 'count', model: 'sim:count?n=100000&tps=200' })
    const hasBegun = Promise.withResolvers<void>()
    const reading = readToEnd(b.url, started, (text) => {
      if (text.length > 60) hasBegun.resolve()
    })
    await hasBegun.promise
    const end = await post<{ status: string; usage: { outputTokens: number } }>(`${c.url}/api/runs/${started.run}/stop`)
    const read = await reading
    expect(end.status).toBe('stopped')
    expect(read.status).toBe('stopped')
    expect(numbersOf(read.text)).toEqual(countTo(read.text))
    // Asked once more, of whom it belongs to: the same end.
    expect(await post(`${a.url}/api/runs/${started.run}/stop`)).toEqual(end)
    const transcript = await c.millrace.readSession(started.session)
    expect(transcript?.runs[0]).toMatchObject({ status: 'stopped', lanes: [{ text: read.text }] })
  })

  // What happened: a node read its inbox from where it was, which was of another log for ever; it never heard of a stop again.
  it('hear of each other when everything was lost that they had told each other', async () => {
    const [a, b] = await Promise.all([openNode(), openNode()])
    const model = 'sim:count?n=100000&tps=200'
    const before = await post<Started>(`${a.url}/api/chat`, { query: 'count', model })
    expect(await post(`${b.url}/api/runs/${before.run}/stop`)).toMatchObject({ status: 'stopped' })
    await flush()
    const after = await post<Started>(`${a.url}/api/chat`, { query: 'count', model })
    expect(await post(`${b.url}/api/runs/${after.run}/stop`)).toMatchObject({ status: 'stopped' })
  })

  it('take what is asked up a WebSocket to one, and give what is said down SSE from another, each cut in its turn', async () => {
    const [up, down] = await Promise.all([openNode(), openNode()])
    const proxy = await startFaultProxy(Number(new URL(down.url).port))
    onTestFinished(() => proxy[Symbol.asyncDispose]())
    const sockets: WebSocket[] = []
    const client = connect(proxy.url, {
      transport: 'hybrid',
      timings: { backoffFirstMs: 10, backoffLongestMs: 50 },
      WebSocket: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(url.replace(proxy.url.replace('http', 'ws'), up.url.replace('http', 'ws')), protocols)
          sockets.push(this)
        }
      } as never,
    })
    onTestFinished(() => client.close())
    const session = client.session()
    const run = session.run({ query: 'count', models: ['sim:count?n=100000&tps=200'] })
    await run
    const transportsOf = ({ millrace }: { millrace: Millrace }) => millrace.listConnections().map(({ transport }) => transport)
    let text = ''
    let cuts = 0
    for await (const event of session.events()) {
      if (event.type === 'stream_end') break
      if (event.type !== 'message') continue
      text += event.data.text
      const last = numbersOf(text).at(-1) as number
      if (last < 20 * (cuts + 1)) continue
      cuts += 1
      if (cuts === 1) {
        expect([transportsOf(up), transportsOf(down)]).toEqual([['ws'], ['sse']])
        proxy.cut()
      } else if (cuts === 2) sockets[0]?.close()
      else if (cuts === 3) void run.stop()
    }
    expect(cuts).toBeGreaterThanOrEqual(3)
    expect(numbersOf(text)).toEqual(countTo(text))
    expect([up.millrace.findRun(run.id)?.end?.status, down.millrace.findRun(run.id)]).toEqual(['stopped', undefined])
  })

  it('makes one run of one id, however many are asked to start it', async () => {
    let asked = 0
    const model: Model = {
      name: 'counted',
      async *stream() {
        asked += 1
        yield { type: 'text', text: 'once' }
      },
    }
    const nodes = await Promise.all([openNode([model]), openNode([model]), openNode([model])])
    for (let round = 1; round <= 20; round++) {
      const request = { query: 'hello', model: 'counted', id: `one-${round}` }
      const answers = await Promise.all(nodes.map(({ url }) => post<Started>(`${url}/api/chat`, request)))
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
      expect(await readToEnd((nodes[round % 3] as { url: string }).url, answers[0] as Started)).toEqual({
        text: 'once',
        status: 'completed',
      })
      expect(asked).toBe(round)
    }
    const other = post(`${(nodes[1] as { url: string }).url}/api/chat`, { query: 'another', model: 'counted', id: 'one-1' })
    await expect(other).rejects.toThrow('run_conflict')
  })

  it('list, rename and delete a session wherever it runs, and leave no word of it', async () => {
    const own = make()
    onTestFinished(() => own.close())
    const [a, b] = await Promise.all([openNode(), openNode()])
    const started = await post<Started>(`${a.url}/api/chat`, { query: 'secret', model: 'sim:count?n=100000&tps=200' })
    const reading = readToEnd(a.url, started)
    await expect.poll(async () => (await b.millrace.sessions.list()).sessions[0]?.title).toBe('secret')
    await b.millrace.sessions.rename(started.session, 'renamed')
    expect((await a.millrace.sessions.list()).sessions[0]).toMatchObject({ id: started.session, title: 'renamed' })
    const run = a.millrace.findRun(started.run)
    await b.millrace.sessions.delete(started.session)
    expect(await run?.ended).toMatchObject({ status: 'stopped' })
    await Promise.allSettled([reading])
    for (const { millrace } of [a, b]) {
      expect(await millrace.readSession(started.session)).toBeUndefined()
      expect((await millrace.sessions.list()).sessions.map(({ id }) => id)).not.toContain(started.session)
    }
    for (const log of [started.session, `title/${started.session}`, `run/${started.run}`])
      expect(await own.inspect(log)).toBeUndefined()
  })

  it('keep a reader that answers its heartbeats to another of them, and cut one that does not', async () => {
    const [holding, other] = await Promise.all([openNode([], 200), openNode([], 200)])
    const { id } = await post<{ id: string }>(`${other.url}/api/sessions`)
    const open = () => fetch(`${holding.url}/api/stream?session=${id}&heartbeat=answered`)
    const [answered, silent] = await Promise.all([open(), open()])
    const name = answered.headers.get('millrace-stream')
    const answering = setInterval(() => void post(`${other.url}/api/heartbeat`, { stream: name }).catch(() => {}), 100)
    onTestFinished(() => clearInterval(answering))
    await silent.text()
    expect(holding.millrace.listConnections(id)).toHaveLength(1)
    clearInterval(answering)
    await answered.text()
  })

  it('lets the readers of a server that closes read on elsewhere, and its run come to its end', async () => {
    const [closing, other] = await Promise.all([openNode(), openNode()])
    const started = await post<Started>(`${closing.url}/api/chat`, { query: 'count', model: 'sim:count?n=400&tps=200' })
    const moved: number[] = []
    const reading = Array.from({ length: 20 }, async () => {
      let text = ''
      let from = started.position
      for (const url of [closing.url, other.url]) {
        for await (const { event, id, data } of follow(url, started.session, from)) {
          from = id
          if (event === 'message') text += data.text
          if (event === 'stream_end') return { text, status: data.status }
        }
        moved.push(performance.now())
      }
      throw new Error('The stream ended without an end of the run.')
    })
    for await (const { event } of follow(closing.url, started.session)) if (event === 'message') break
    const closed = closing.millrace.close({ graceMs: 20_000 })
    for (const { text, status } of await Promise.all(reading)) {
      expect(numbersOf(text)).toEqual(Array.from({ length: 400 }, (_, index) => index + 1))
      expect(status).toBe('completed')
    }
    await closed
    expect(moved.length).toBeGreaterThan(0)
    // Not all at once.
    expect(Math.max(...moved) - Math.min(...moved)).toBeGreaterThan(200)
  })

  it('lets its readers go a few at a time over every transport, each told to come back soon', async () => {
    const { url, millrace } = await openNode()
    const { id: session } = await post<{ id: string }>(`${url}/api/sessions`)
    const address = `${url}/api/stream?session=${session}&from=start`
    const wentAt: number[] = []
    const leave = () => void wentAt.push(performance.now())
    const streams = Array.from({ length: 8 }, async () => {
      const text = await (await fetch(address)).text()
      leave()
      return Number(/retry: (\d+)\n\n$/.exec(text)?.[1])
    })
    const sockets = Array.from({ length: 8 }, async () => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/chat`)
      socket.onopen = () => socket.send(JSON.stringify({ type: 'attach', session, from: 'start' }))
      const { code } = await new Promise<CloseEvent>((resolve) => {
        socket.onclose = resolve
      })
      leave()
      return code
    })
    const polls = Array.from({ length: 8 }, async () => {
      const { status } = await fetch(`${address}&live=poll&wait=20`)
      leave()
      return status
    })
    await expect.poll(() => millrace.listConnections(session).length).toBe(24)
    const closed = millrace.close({ graceMs: 2000 })
    for (const retryMs of await Promise.all(streams)) {
      expect(retryMs).toBeGreaterThanOrEqual(100)
      expect(retryMs).toBeLessThan(1000)
    }
    expect(new Set(await Promise.all(sockets))).toEqual(new Set([1012]))
    expect(new Set(await Promise.all(polls))).toEqual(new Set([200]))
    expect(Math.max(...wentAt) - Math.min(...wentAt)).toBeGreaterThan(500)
    await closed
  })

  it('ends the run of a killed server as interrupted for who reads elsewhere, and who comes later', async () => {
    const [killed, other, later] = await Promise.all([startNode(), openNode(), openNode()])
    const started = await post<Started>(`${killed.url}/api/chat`, { query: 'count', model: 'sim:count?n=100000&tps=200' })
    const killing = Promise.withResolvers<void>()
    const reading = readToEnd(other.url, started, (text) => {
      if (text.length > 60) killing.resolve()
    })
    await killing.promise
    killed.child.kill('SIGKILL')
    const { text, status } = await reading
    expect(status).toBe('interrupted')
    expect(numbersOf(text)).toEqual(countTo(text))
    expect(await readToEnd(later.url, started)).toEqual({ text, status })
  })

  it('ends it for a reader that began in the middle, and was never given its start', async () => {
    const [killed, other] = await Promise.all([startNode(), openNode()])
    const { session, run } = await post<Started>(`${killed.url}/api/chat`, {
      query: 'count',
      model: 'sim:count?n=100000&tps=100',
    })
    const events = follow(other.url, session, 'now')
    expect((await events.next()).value).toMatchObject({ event: 'message' })
    killed.child.kill('SIGKILL')
    for await (const { event, data } of events) {
      if (event !== 'stream_end') continue
      expect(data).toMatchObject({ run, status: 'interrupted' })
      break
    }
  })

  it('ends it for a reader that was there before the run, and on a node that is asked only when its server is dead', async () => {
    const [killed, other] = await Promise.all([startNode(), openNode()])
    const { id: session } = await post<{ id: string }>(`${other.url}/api/sessions`)
    const events = follow(other.url, session, 'now')
    const first = events.next()
    await expect.poll(() => other.millrace.connections).toBe(1)
    const { run } = await post<Started>(`${killed.url}/api/chat`, {
      query: 'count',
      model: 'sim:count?n=100000&tps=100',
      session,
    })
    expect((await first).value).toMatchObject({ event: 'stream_start', data: { run } })
    killed.child.kill('SIGKILL')
    for await (const { event, data } of events) {
      if (event !== 'stream_end') continue
      expect(data).toMatchObject({ run, status: 'interrupted' })
      break
    }
    const late = await openNode()
    expect((await late.millrace.readSession(session))?.runs[0]?.status).toBe('interrupted')
  })

  // What happened: a log was looked at once, and a run that another began in it afterwards was nobody's for who came in its middle.
  it('ends it for a reader that comes in its middle to a node which knew the session before', async () => {
    const [killed, other] = await Promise.all([startNode(), openNode()])
    const { id: session } = await post<{ id: string }>(`${other.url}/api/sessions`)
    expect((await other.millrace.readSession(session))?.runs).toEqual([])
    const { run } = await post<Started>(`${killed.url}/api/chat`, {
      query: 'count',
      model: 'sim:count?n=100000&tps=100',
      session,
    })
    let from = ''
    for await (const { event, id } of follow(killed.url, session)) {
      from = id
      if (event === 'message') break
    }
    const events = follow(other.url, session, from)
    expect((await events.next()).value).toMatchObject({ event: 'message' })
    killed.child.kill('SIGKILL')
    for await (const { event, data } of events) {
      if (event !== 'stream_end') continue
      expect(data).toMatchObject({ run, status: 'interrupted' })
      break
    }
  })

  it('take what is said in a channel for what it is, whatever it is called', async () => {
    const { url } = await openNode()
    const events = [null, { run: 'r', node: 'gone', query: '', lanes: [] }]
    for (const data of events) await post(`${url}/api/publish`, { channel: 'named', event: 'stream_start', data })
    await post(`${url}/api/publish`, { channel: 'named', event: 'last', data: 1 })
    const answer = await fetch(`${url}/api/stream?channel=named&live=poll`)
    const said = ((await answer.json()) as { events: { event: string }[] }).events.map(({ event }) => event)
    expect(said).toEqual(['stream_start', 'stream_start', 'last'])
  })

  // What happened: a stop was told to the dead, and nobody looked whether they live.
  it("answer a stop of a killed server's run, which nobody reads, with its end", async () => {
    const [killed, other] = await Promise.all([startNode(), openNode()])
    const { session, run } = await post<Started>(`${killed.url}/api/chat`, {
      query: 'count',
      model: 'sim:count?n=100000&tps=200',
    })
    for await (const { event } of follow(killed.url, session)) if (event === 'message') break
    killed.child.kill('SIGKILL')
    const { status, position } = await post<{ status: string; position: string }>(`${other.url}/api/runs/${run}/stop`)
    expect(status).toBe('interrupted')
    const transcript = await other.millrace.readSession(session)
    expect(transcript?.runs[0]?.lanes[0]?.text).toMatch(/^1 /)
    expect(`${session}:${transcript?.position}`).toBe(position)
  })

  it('say a stop again that was lost on its way', async () => {
    const engine = make()
    let refusals = 0
    const losing: Engine = {
      ...engine,
      async append(log, events, options) {
        if (log.startsWith('inbox/') && events.length > 0 && refusals++ === 0) throw new MillraceError('engine_failed')
        return engine.append(log, events, options)
      },
    }
    const [a, b] = await Promise.all([openNode(), openNodeOver(losing)])
    const { run } = await post<Started>(`${a.url}/api/chat`, { query: 'count', model: 'sim:count?n=100000&tps=200' })
    expect(await post(`${b.url}/api/runs/${run}/stop`)).toMatchObject({ status: 'stopped' })
    expect(refusals).toBeGreaterThan(1)
  })

  it('fences a server that stood still for longer than its lease: its run has one end, and nothing after it', async () => {
    const [stalled, other] = await Promise.all([startNode(), openNode()])
    const started = await post<Started>(`${stalled.url}/api/chat`, { query: 'count', model: 'sim:count?n=100000&tps=200' })
    const stalling = Promise.withResolvers<void>()
    const reading = readToEnd(other.url, started, (text) => {
      if (text.length > 60) stalling.resolve()
    })
    await stalling.promise
    stalled.child.kill('SIGSTOP')
    expect(await reading).toMatchObject({ status: 'interrupted' })
    stalled.child.kill('SIGCONT')
    // It answers again, and knows the end that the others have written.
    expect(await post(`${stalled.url}/api/runs/${started.run}/stop`)).toMatchObject({ status: 'interrupted' })
    // It goes on with other runs.
    const next = await post<Started>(`${stalled.url}/api/chat`, {
      query: 'count',
      model: 'sim:count?n=5&tps=0',
      session: started.session,
    })
    expect(await readToEnd(other.url, next)).toEqual({ text: '1 2 3 4 5 ', status: 'completed' })
    const kinds: string[] = []
    for await (const { event, data, id } of follow(other.url, started.session)) {
      expect(parsePosition(id)?.offset).toBe(kinds.length + 1)
      kinds.push(data.run === started.run ? event : 'next')
      if (data.run === next.run && event === 'stream_end') break
    }
    expect(kinds.filter((kind) => kind === 'stream_end')).toHaveLength(1)
    expect(kinds.slice(kinds.indexOf('stream_end') + 1).every((kind) => kind === 'next')).toBe(true)
  })

  it('go on with the answer of a killed server on any other, whole and once', async () => {
    const [killed, other, later] = await Promise.all([startNode(), openNode(), openNode()])
    const started = await post<Started>(`${killed.url}/api/chat`, { query: 'count', model: 'sim:count?n=300&tps=300' })
    const killing = Promise.withResolvers<void>()
    const reading = readToEnd(other.url, started, (text) => {
      if (text.length > 60) killing.resolve()
    })
    await killing.promise
    killed.child.kill('SIGKILL')
    const { text, status } = await reading
    expect(status).toBe('interrupted')
    // Of whom the run is found by its id alone, and of several that want to go on with it one does.
    const goOn = (url: string, id: string) => post<Started>(`${url}/api/runs/${started.run}/continue`, { id })
    const ids = ['first', 'second', 'third', 'fourth']
    const outcomes = await Promise.allSettled(ids.map((id, index) => goOn((index % 2 === 0 ? other : later).url, id)))
    const isStarted = outcomes.findIndex((outcome) => outcome.status === 'fulfilled')
    const refusals = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => String(reason))
    expect(refusals).toEqual(Array(3).fill(expect.stringContaining('run_not_continuable')))
    // The same id is the same run, of whomever it is asked; the others' ids are free again, at once.
    const next = { ...started, run: ids[isStarted] as string }
    for (const { url } of [other, later])
      expect(await goOn(url, next.run)).toMatchObject({ run: next.run, session: started.session })
    const id = ids[(isStarted + 1) % 4] as string
    const free = await post<Started>(`${later.url}/api/chat`, { query: 'count', model: 'sim:count?n=2&tps=0', id })
    expect(await readToEnd(other.url, free)).toEqual({ text: '1 2 ', status: 'completed' })
    const rest = await readToEnd(later.url, next)
    expect(rest.status).toBe('completed')
    expect(numbersOf(text + rest.text)).toEqual(Array.from({ length: 300 }, (_, index) => index + 1))
  })
})

it.each(shared)('are two of the command line, where both are given the same $name', async ({ name, url: engineUrl }) => {
  const start = async () => {
    const cli = fileURLToPath(new URL('../../packages/server/src/cli.ts', import.meta.url))
    const args = ['--conditions=source', cli, '--port', '0', '--model', 'sim:count?n=5&tps=0', '--engine', engineUrl]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    for (let output = ''; ; ) {
      output += String(await once(child.stdout, 'data'))
      const [, url, place] = /API {4}(http:\S+)\/api\/openapi\.json[\s\S]*Logs {3}kept in (\w+)/.exec(output) ?? []
      if (url === undefined) continue
      expect(place?.toLowerCase()).toBe(name)
      return url
    }
  }
  const [a, b] = await Promise.all([start(), start()])
  const started = await post<Started>(`${a}/api/chat`, { query: 'count' })
  expect(await readToEnd(b, started)).toEqual({ text: '1 2 3 4 5 ', status: 'completed' })
})
