/** What goes up: once, in order, whatever happens to the connection on its way. */
import type { Run, Session } from '@millrace/client'
import { expect, it } from 'vitest'
import { type ClientSuite, oneTo, patientTimings, quickTimings, readNumbers, readUntil, startWorld } from './world.ts'

export function commandCases({ transport }: ClientSuite): void {
  it('asks with messages, instructions, parameters and metadata, and is given them back by the log and the transcript', async () => {
    const { connect } = await startWorld()
    const session = connect(transport).session()
    const asked = {
      messages: [
        { role: 'user', content: 'weather?' },
        { role: 'assistant', content: [{ type: 'tool_call', id: 'c1', name: 'weather', arguments: { city: '上海' } }] },
        { role: 'tool', content: [{ type: 'tool_result', call: 'c1', value: { celsius: 20 } }] },
      ],
      instructions: 'Be brief.',
      params: { temperature: 0.5, responseFormat: { type: 'json_schema', schema: { type: 'object' } } },
      metadata: { tenant: 'acme' },
    } as const
    const models = ['sim:echo?tps=0&show=request']
    const first = session.run({ ...asked, models })
    const isEndOf =
      (id: string) =>
      ({ type, data }: { type: string; data: unknown }) =>
        type === 'stream_end' && (data as { run: string }).run === id
    const events = await readUntil(session, isEndOf(first.id))
    const second = session.run({ query: 'and now?', models })
    await readUntil(session, isEndOf(second.id))
    expect(events.find(({ type }) => type === 'stream_start')?.data).toMatchObject({ query: 'weather?', ...asked })
    const { runs } = await session.read()
    expect(runs).toMatchObject([
      { run: first.id, query: 'weather?', ...asked },
      { run: second.id, query: 'and now?' },
    ])
    expect(runs[1]).not.toHaveProperty('messages')
    const [one, two] = runs.map(
      ({ lanes }) => JSON.parse(lanes[0]?.text ?? '') as { messages: { role: string }[]; params: object },
    )
    expect(one).toMatchObject({ params: asked.params, messages: [{ role: 'system', text: 'Be brief.' }, {}, {}, {}] })
    // The instructions of one request are not those of the next; its messages are history.
    expect(two?.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant', 'user'])
    await expect(session.run({ messages: asked.messages.slice(0, 2), models })).rejects.toMatchObject({
      code: 'tool_result_missing',
    })
    await expect(session.run({ query: 'x', params: { seed: 1 }, models: ['sim:count'] })).rejects.toMatchObject({
      code: 'param_not_supported',
    })
  })

  // A WebSocket is closed for a message of more than 256 KiB.
  it('asks with as much as a server takes', async () => {
    const { connect } = await startWorld()
    const session = connect(transport).session()
    const most = { messages: [{ role: 'user', content: '水'.repeat(80_000) }], instructions: '水'.repeat(32_000) } as const
    const run = session.run({ ...most, models: ['sim:count?n=1&tps=0'] })
    await expect(run).resolves.toMatchObject({ run: run.id })
    await expect(session.run({ query: '0' })).resolves.toBeDefined()
  })

  it('sends what was asked without a connection when there is one, in order and once', async () => {
    const { connect, counter, proxy, millrace } = await startWorld()
    counter.letTo(3)
    proxy.refuse(true)
    const session = connect(transport).session()
    const runs = [session.run({ query: '1' }), session.run({ query: '2' }), session.run({ query: '3' })]
    const reading = readUntil(session, ({ type, data }) => type === 'stream_end' && (data as { run: string }).run === runs[2]?.id)
    await new Promise(setImmediate)
    expect(await millrace.readSession(session.id)).toBeUndefined()
    proxy.refuse(false)
    await Promise.all(runs)
    await reading
    const transcript = await millrace.readSession(session.id)
    expect(transcript?.runs.map(({ run }) => run)).toEqual(runs.map(({ id }) => id))
  })

  it('starts one run though the answer to its start is lost', async () => {
    const { connect, counter, proxy, millrace } = await startWorld()
    counter.letTo(5)
    const session = connect(transport).session()
    await session.read()
    const made = session.run({ query: '5' })
    await made
    proxy.cut()
    proxy.cutAfter(40, 3)
    const run = session.run({ query: '5' })
    await expect(run).resolves.toMatchObject({ run: run.id })
    const transcript = await millrace.readSession(session.id)
    expect(transcript?.runs.map(({ run: id }) => id)).toEqual([made.id, run.id])
  })

  // What happened: one command of the whole client at a time, and each waited for the answer to the one before it.
  it('does not let what is asked in one session wait for the answer to what was asked elsewhere', async () => {
    const { connect, counter, millrace, proxy } = await startWorld({ heartbeatMs: 15_000 })
    const client = connect(transport, { timings: patientTimings })
    const [one, two] = ['one', 'two'].map((id) => client.session(id)) as [Session, Session]
    for (const { id } of [one, two]) await millrace.engine.append(id, [])
    const run = one.run({ query: '100' })
    await run
    counter.letTo(3)
    // From here on the client's bytes arrive and the server's do not.
    proxy.mute()
    const asked = [one.run({ query: '1' }), two.run({ query: '1' }), run.stop(), client.channel('c').publish(1)]
    for (const answer of asked) answer.catch(() => {})
    for (const { id } of asked.slice(0, 2) as Run[]) await expect.poll(() => millrace.findRun(id)).toBeDefined()
    await expect.poll(() => millrace.findRun(run.id)?.end).toMatchObject({ status: 'stopped' })
    await expect.poll(async () => (await millrace.engine.inspect('channel/c'))?.head.offset).toBe(1)
  })

  it('stops a run whose start is not answered, and waits for nothing else either', async () => {
    const { connect, millrace, proxy } = await startWorld({ heartbeatMs: 15_000 })
    const client = connect(transport, { timings: patientTimings })
    const session = client.session('one')
    await millrace.engine.append('one', [])
    const first = session.run({ query: '100' })
    await first
    proxy.mute()
    const asked = [session.run({ query: '100' }), session.run({ query: '100' })] as const
    for (const run of asked) run.catch(() => {})
    asked[0].stop().catch(() => {})
    first.stop().catch(() => {})
    for (const { id } of [first, asked[0]])
      await expect.poll(() => millrace.findRun(id)?.end).toMatchObject({ status: 'stopped' })
  })

  it('stops a run though as many commands wait as may', async () => {
    const { connect, counter, proxy } = await startWorld()
    counter.letTo(3)
    const client = connect(transport)
    const run = client.session().run({ query: '100' })
    await run
    proxy.refuse(true)
    proxy.cut()
    const channel = client.channel('c')
    const published = Array.from({ length: 101 }, () => channel.publish(1))
    await expect(published.pop()).rejects.toMatchObject({ code: 'outbox_full' })
    const stopped = run.stop()
    proxy.refuse(false)
    expect(await stopped).toMatchObject({ status: 'stopped' })
    await Promise.all(published)
  })

  it('ends a wait by its signal or its deadline, and then sends nothing', async () => {
    const { connect, millrace, proxy, counter } = await startWorld()
    counter.letTo(1)
    const patient = connect(transport).session()
    const before = await patient.run({ query: '1' })
    const timings = { ...quickTimings(transport), answerMs: 60_000, commandMs: 100 }
    const session = connect(transport, { timings }).session(patient.id)
    proxy.refuse(true)
    proxy.cut()
    const abort = new AbortController()
    const aborted = [
      session.run({ query: '1', signal: abort.signal }),
      session.stop('none', { signal: abort.signal }),
      session.read({ signal: abort.signal }),
    ]
    const late = session.run({ query: '1' })
    abort.abort(new Error('no more'))
    for (const call of aborted) await expect(call).rejects.toThrow('no more')
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded', retryable: true })
    // An attempt that is on its way may still arrive.
    await proxy.refusedAll()
    proxy.refuse(false)
    // Until what it still had to send would have been sent.
    await expect.poll(() => session.read()).toBeDefined()
    const after = await patient.run({ query: '1' })
    expect((await millrace.readSession(session.id))?.runs.map(({ run }) => run)).toEqual([before.run, after.run])
  })

  it('stops a run that waits for its start, after it, and goes on with it after that', async () => {
    const { connect, counter, millrace, proxy } = await startWorld()
    counter.letTo(5)
    proxy.refuse(true)
    const session = connect(transport).session()
    const run = session.run({ query: '100' })
    const stopped = run.stop()
    const next = session.resume(run.id)
    counter.letTo(0)
    proxy.refuse(false)
    expect(await stopped).toMatchObject({ status: 'stopped' })
    await next
    await session.stop(next.id)
    expect((await millrace.readSession(session.id))?.runs.map(({ run }) => run)).toEqual([run.id, next.id])
  })

  it('stops a run for everybody and keeps what was said', async () => {
    const { connect, counter } = await startWorld()
    const session = connect(transport).session()
    const run = session.run({ query: '100' })
    counter.letTo(3)
    const numbers = await readNumbers(session, async (number) => {
      if (number === 3) expect(await run.stop()).toMatchObject({ status: 'stopped' })
    })
    expect(numbers).toEqual([1, 2, 3])
  })

  it('goes on with an answer that was stopped, once, though the answer to that is lost', async () => {
    const { connect, counter, proxy, millrace } = await startWorld()
    const session = connect(transport).session()
    const run = session.run({ query: '6' })
    counter.letTo(3)
    const numbers = await readNumbers(session, async (number) => {
      if (number === 3) await run.stop()
    })
    proxy.cut()
    proxy.cutAfter(40, 3)
    const next = session.resume(run.id)
    counter.letTo(6)
    expect([...numbers, ...(await readNumbers(session))]).toEqual(oneTo(6))
    expect(await next).toMatchObject({ run: next.id, session: session.id })
    await expect(session.resume(run.id)).rejects.toMatchObject({ code: 'run_not_continuable' })
    // Not over the network: of the connections that are to be cut there may be one left.
    const transcript = await millrace.readSession(session.id)
    expect(transcript?.runs).toMatchObject([
      { run: run.id, status: 'stopped' },
      { run: next.id, continues: run.id, status: 'completed' },
    ])
    expect(transcript?.runs).toHaveLength(2)
  })

  it('stops what goes on with an answer, and goes on with that', async () => {
    const { connect, counter } = await startWorld()
    const session = connect(transport).session()
    let run = session.run({ query: '9' })
    const all: number[] = []
    for (const cut of [3, 6]) {
      counter.letTo(cut)
      all.push(
        ...(await readNumbers(session, async (number) => {
          if (number === cut) await run.stop()
        })),
      )
      run = session.resume(run.id, { id: `after-${cut}` })
    }
    counter.letTo(9)
    expect([...all, ...(await readNumbers(session))]).toEqual(oneTo(9))
    expect(run.id).toBe('after-6')
  })

  it('reads a session as soon as it is made, goes on from there, and stops what was started elsewhere', async () => {
    const { connect, counter } = await startWorld()
    const one = connect(transport).session()
    const two = connect(transport).session((await one.read()).id)
    const run = await one.run({ query: '100' })
    counter.letTo(3)
    await readUntil(one, ({ type, data }) => type === 'message' && (data as { text: string }).text.includes('3'))
    const { position, runs } = await two.read()
    expect(runs).toMatchObject([{ lanes: [{ text: '1 2 3 ' }] }])
    expect(() => two.events({ from: 'begin' })).toThrow(expect.objectContaining({ code: 'position_invalid' }))
    const events = two.events({ from: position })
    expect(await two.stop(run.run)).toMatchObject({ status: 'stopped' })
    expect(await events.next()).toMatchObject({ value: { type: 'stream_end', data: { run: run.run } } })
    two.leave()
  })

  it('rejects a run that is refused, with the server\u2019s code, and goes on with the next', async () => {
    const { connect, counter } = await startWorld()
    counter.letTo(2)
    const session = connect(transport).session()
    const refused = session.run({ query: '2', models: ['no:such-model'] })
    const next = session.run({ query: '2' })
    await expect(refused).rejects.toMatchObject({
      name: 'MillraceError',
      retryable: false,
      docs: expect.stringContaining('/docs/errors#'),
    })
    await expect(next).resolves.toMatchObject({ run: next.id })
  })

  it('tells of its connection when that has changed, and only then', async () => {
    const { connect, counter, proxy } = await startWorld()
    const client = connect(transport)
    const session = client.session()
    const statuses: string[] = []
    client.connection.subscribe(({ retryAt, ...status }) =>
      statuses.push(JSON.stringify({ ...status, waits: retryAt !== undefined })),
    )
    counter.letTo(3)
    const numbers = readNumbers(session, async (number) => {
      if (number !== 3) return
      proxy.cut()
      await session.run({ query: '0' })
      await client.channel('c').publish(1)
      counter.letTo(6)
    })
    await session.run({ query: '6' })
    await numbers
    expect(statuses.filter((status, index) => status === statuses[index - 1])).toEqual([])
    expect(statuses.length).toBeGreaterThan(1)
  })

  it('gives two clients of one session the same events', async () => {
    const { connect, counter, proxy } = await startWorld()
    const one = connect(transport).session()
    await one.run({ query: '30' })
    const two = connect(transport).session(one.id)
    counter.letTo(10)
    const reading = [one, two].map((session) =>
      readNumbers(session, (number) => {
        if (number === 10) proxy.cut()
        counter.letTo(30)
      }),
    )
    expect(await Promise.all(reading)).toEqual([oneTo(30), oneTo(30)])
  })

  it('leaves a session without stopping its runs, and reads on where it left', async () => {
    const { connect, counter } = await startWorld()
    const session = connect(transport).session()
    await session.run({ query: '6' })
    counter.letTo(3)
    const seen: number[] = []
    for await (const event of session.events()) {
      if (event.type === 'message') seen.push(...event.data.text.trim().split(' ').map(Number))
      if (seen.at(-1) === 3) session.leave()
    }
    counter.letTo(6)
    expect([...seen, ...(await readNumbers(session))]).toEqual(oneTo(6))
  })
}
