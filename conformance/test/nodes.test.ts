/** Several servers over one engine behave as one. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { connect } from '@millrace/client'
import { type Engine, type Millrace, MillraceError, type Model } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startFaultProxy } from '../src/fault-proxy.ts'
import { countTo, follow, numbersOf, openNodeOver, post, readToEnd, type Started, startShared } from './support/nodes.ts'

const shared = await startShared()

describe.each(shared)('several servers over $name', ({ make, flush }) => {
  const openNode = (models?: readonly Model[], heartbeatMs?: number) => openNodeOver(make(), models, heartbeatMs)

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
    // Stopped again on the server that performed it: the same end.
    expect(await post(`${a.url}/api/runs/${started.run}/stop`)).toEqual(end)
    const transcript = await c.millrace.readSession(started.session)
    expect(transcript?.runs[0]).toMatchObject({ status: 'stopped', lanes: [{ text: read.text }] })
  })

  // What happened: a node kept reading its inbox at a position of the lost log, and received no stop any more.
  it('receive messages again after the engine lost all data', async () => {
    const [a, b] = await Promise.all([openNode(), openNode()])
    const model = 'sim:count?n=100000&tps=200'
    const before = await post<Started>(`${a.url}/api/chat`, { query: 'count', model })
    expect(await post(`${b.url}/api/runs/${before.run}/stop`)).toMatchObject({ status: 'stopped' })
    await flush()
    const after = await post<Started>(`${a.url}/api/chat`, { query: 'count', model })
    expect(await post(`${b.url}/api/runs/${after.run}/stop`)).toMatchObject({ status: 'stopped' })
  })

  it('take questions over a WebSocket on one and stream answers over SSE from another, while each is cut in turn', async () => {
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
    let stopping: Promise<unknown> | undefined
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
      else if (cuts === 3) stopping = run.stop()
    }
    // The end may come over SSE before the answer over the WebSocket.
    expect(await stopping).toMatchObject({ status: 'stopped' })
    expect(cuts).toBeGreaterThanOrEqual(3)
    expect(numbersOf(text)).toEqual(countTo(text))
    expect([up.millrace.findRun(run.id)?.end?.status, down.millrace.findRun(run.id)]).toEqual(['stopped', undefined])
  })

  it('start one run for one id, however many of them receive the request', async () => {
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

  it('list, rename and delete a session wherever it runs, and leave no text of it', async () => {
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

  it('keep a reader that acknowledges heartbeats to another server, and disconnect one that stops', async () => {
    const [holding, other] = await Promise.all([openNode([], 200), openNode([], 200)])
    const { id } = await post<{ id: string }>(`${other.url}/api/sessions`)
    const open = () => fetch(`${holding.url}/api/stream?session=${id}&heartbeat=answered`)
    const [answered, silent] = await Promise.all([open(), open()])
    const answer = ({ url }: { url: string }, { headers }: Response) =>
      post(`${url}/api/heartbeat`, { stream: headers.get('millrace-stream') }).catch(() => {})
    await answer(holding, silent)
    const answering = setInterval(() => void answer(other, answered), 100)
    onTestFinished(() => clearInterval(answering))
    await silent.text()
    expect(holding.millrace.listConnections(id)).toHaveLength(1)
    clearInterval(answering)
    await answered.text()
  })

  it('move the readers of a closing server to others, and let its run end', async () => {
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

  it('disconnect readers a few at a time over every transport, each with a short retry delay', async () => {
    const { url, millrace } = await openNode()
    const { id: session } = await post<{ id: string }>(`${url}/api/sessions`)
    const address = `${url}/api/stream?session=${session}&from=start`
    const wentAt: number[] = []
    const leave = () => void wentAt.push(performance.now())
    // First, and so ended first: the answer of one reads the log once more, for which the last of all have little time.
    const polls = Array.from({ length: 8 }, async () => {
      const { status } = await fetch(`${address}&live=poll&wait=20`)
      leave()
      return status
    })
    await expect.poll(() => millrace.listConnections(session).length).toBe(8)
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

  it('take no event of a channel for a run, whatever its type', async () => {
    const { url } = await openNode()
    const events = [null, { run: 'r', node: 'gone', query: '', lanes: [] }]
    for (const data of events) await post(`${url}/api/publish`, { channel: 'named', event: 'stream_start', data })
    await post(`${url}/api/publish`, { channel: 'named', event: 'last', data: 1 })
    const answer = await fetch(`${url}/api/stream?channel=named&live=poll`)
    const said = ((await answer.json()) as { events: { event: string }[] }).events.map(({ event }) => event)
    expect(said).toEqual(['stream_start', 'stream_start', 'last'])
  })

  it('send a stop again that was lost', async () => {
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
})

it.each(shared)('start from the command line with the same $name', async ({ name, url: engineUrl }) => {
  const start = async () => {
    const cli = fileURLToPath(new URL('../../packages/server/src/cli/index.ts', import.meta.url))
    const args = ['--conditions=millrace-source', cli, '--port', '0', '--model', 'sim:count?n=5&tps=0', '--engine', engineUrl]
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
