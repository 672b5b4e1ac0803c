/** One of several servers is killed or suspended: its runs end for every reader, once, and any other server can resume them. */
import { parsePosition } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import {
  countTo,
  follow,
  numbersOf,
  openNodeOver,
  post,
  readToEnd,
  type Started,
  startNodeOver,
  startShared,
} from './support/nodes.ts'

const shared = await startShared()

describe.each(shared)('several servers over $name', ({ url: engineUrl, make }) => {
  const openNode = () => openNodeOver(make())
  const startNode = () => startNodeOver(engineUrl)

  it('ends the run of a killed server as interrupted, for its readers on other servers and for later ones', async () => {
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

  it('ends it for a reader that attached in the middle, and never received its start', async () => {
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

  it('ends it for a reader that attached before the run, and on a node that is asked after the death', async () => {
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

  // What happened: a log was scanned once, and a run that another server started in it later was not noticed.
  it('ends it for a reader that attaches in the middle, on a node that had opened the session before', async () => {
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

  // A stop was sent to a dead server, without a check of its lease.
  it("answers a stop of a killed server's run, which has no readers, with its end", async () => {
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

  it('fences a server that was suspended for longer than its lease: its run has one end, and no event after it', async () => {
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
    // It runs again, and knows the end that another server wrote.
    expect(await post(`${stalled.url}/api/runs/${started.run}/stop`)).toMatchObject({ status: 'interrupted' })
    // It performs other runs.
    const next = await post<Started>(`${stalled.url}/api/chat`, {
      query: 'count',
      model: 'sim:count?n=5&tps=0',
      session: started.session,
    })
    expect(await readToEnd(other.url, next)).toEqual({ text: '1 2 3 4 5 ', status: 'completed' })
    const kinds: string[] = []
    let offset = 0
    for await (const { event, data, id } of follow(other.url, started.session)) {
      // Deltas are merged for a reader that is far behind.
      const reached = parsePosition(id)?.offset ?? 0
      if (event === 'message') expect(reached).toBeGreaterThan(offset)
      else expect(reached).toBe(offset + 1)
      offset = reached
      kinds.push(data.run === started.run ? event : 'next')
      if (data.run === next.run && event === 'stream_end') break
    }
    expect(kinds.filter((kind) => kind === 'stream_end')).toHaveLength(1)
    expect(kinds.slice(kinds.indexOf('stream_end') + 1).every((kind) => kind === 'next')).toBe(true)
  })

  it('resume the answer of a killed server on any other, completely and once', async () => {
    const [killed, other, later] = await Promise.all([startNode(), openNode(), openNode()])
    const started = await post<Started>(`${killed.url}/api/chat`, { query: 'count', model: 'sim:count?n=900&tps=300' })
    const killing = Promise.withResolvers<void>()
    const reading = readToEnd(other.url, started, (text) => {
      if (text.length > 60) killing.resolve()
    })
    await killing.promise
    killed.child.kill('SIGKILL')
    const { text, status } = await reading
    expect(status).toBe('interrupted')
    // The run is found by its id alone, and of several requests to resume it one succeeds.
    const goOn = (url: string, id: string) => post<Started>(`${url}/api/runs/${started.run}/continue`, { id })
    const ids = ['first', 'second', 'third', 'fourth']
    const outcomes = await Promise.allSettled(ids.map((id, index) => goOn((index % 2 === 0 ? other : later).url, id)))
    const isStarted = outcomes.findIndex((outcome) => outcome.status === 'fulfilled')
    const refusals = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => String(reason))
    expect(refusals).toEqual(Array(3).fill(expect.stringContaining('run_not_continuable')))
    // The same id is the same run on every server. The other ids are free at once.
    const next = { ...started, run: ids[isStarted] as string }
    for (const { url } of [other, later])
      expect(await goOn(url, next.run)).toMatchObject({ run: next.run, session: started.session })
    const id = ids[(isStarted + 1) % 4] as string
    const free = await post<Started>(`${later.url}/api/chat`, { query: 'count', model: 'sim:count?n=2&tps=0', id })
    expect(await readToEnd(other.url, free)).toEqual({ text: '1 2 ', status: 'completed' })
    const rest = await readToEnd(later.url, next)
    expect(rest.status).toBe('completed')
    expect(numbersOf(text + rest.text)).toEqual(Array.from({ length: 900 }, (_, index) => index + 1))
  })
})
