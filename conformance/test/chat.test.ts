/** The stores under the hooks, without React: a session as it is shown, from a real server. */
import { connect, type Transcript } from '@millrace/client'
import { type Chat, chatOf } from '@millrace/client/chat'
import fc from 'fast-check'
import { createMillrace, type ModelPart, memoryEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { oneTo, startWorld, status } from '../src/client/world.ts'
import { keepNewest } from '../src/engine/support.ts'
import { ended, forge, textOf, until, watch } from './support/chat.ts'

/** Events have the server's time; what was folded from them has the reader's. */
const timeless = (runs: Transcript['runs']) => runs.map((run) => ({ ...run, startedAt: 0 }))

describe('the transcript', () => {
  const part = fc.oneof(
    fc.record({ text: fc.string({ minLength: 1, maxLength: 5, unit: fc.constantFrom('1', ' ', '你', '👋', '\n') }) }),
    fc.record({ reasoning: fc.constantFrom('so ', 'then ') }),
    fc.record({ data: fc.record({ name: fc.constantFrom('a', 'b'), value: fc.jsonValue({ maxDepth: 1 }) }) }),
    fc.constant({ fail: true }),
  )
  const script = fc.dictionary(fc.constantFrom('one', 'two'), fc.array(part, { maxLength: 20 }), { noNullPrototype: true })

  it("folded from events equals the server's, from the start or from the middle of the log", async () => {
    /** Writes what the question contains, slowly enough for a reader to attach in between. */
    const scripted = (name: string) => ({
      name,
      async *stream({ messages }: { messages: readonly { text: string }[] }) {
        const parts = (JSON.parse(messages.at(-1)?.text ?? '') as Record<string, (ModelPart | { fail: true })[]>)[name] ?? []
        for (const each of parts) {
          await new Promise(setImmediate)
          if (typeof each === 'object' && 'fail' in each) throw new Error('as the script says')
          yield each
        }
      },
    })
    const millrace = createMillrace({ models: [scripted('one'), scripted('two')], onError: () => {} })
    onTestFinished(() => millrace.close())
    const { url } = await millrace.listen({ port: 0 })
    const clients = [connect(url), connect(url)] as const
    onTestFinished(() => {
      for (const client of clients) client.close()
    })

    await fc.assert(
      fc.asyncProperty(fc.array(script, { minLength: 1, maxLength: 4 }), async (scripts) => {
        const session = clients[0].session()
        const fromStart = chatOf(session)
        await until(fromStart, (chat) => chat.status === 'live')
        const all = until(fromStart, ended(scripts.length))
        for (const one of scripts) {
          const models = Object.keys(one)
          void fromStart.current.ask(JSON.stringify(one), models.length > 0 ? { models } : { models: ['one'] })
        }
        await until(fromStart, ({ runs }) => runs.length > 0)
        const fromMiddle = until(chatOf(clients[1].session(session.id)), ended(scripts.length))
        const followed = [(await all).runs, (await fromMiddle).runs]
        const { runs } = await session.read()
        expect(followed.map(timeless)).toEqual([timeless(runs), timeless(runs)])
      }),
      { numRuns: 40 },
    )
  })

  it('has what was asked with messages, also once the answer was stopped and resumed', async () => {
    const { connect } = await startWorld()
    const session = connect('sse').session()
    const store = watch(session)
    const asked = {
      messages: [
        { role: 'user', content: 'one' },
        { role: 'assistant', content: 'two' },
        { role: 'user', content: [{ type: 'text', text: 'three' }] },
      ],
      metadata: { tenant: 'acme' },
    } as const
    const run = store.current.ask(asked.messages, { metadata: asked.metadata, models: ['sim:echo?tps=20&show=messages'] })
    expect(store.current.pending).toMatchObject([{ id: run.id, query: 'three' }])
    await until(store, (chat) => textOf(chat).includes('role'))
    await store.current.stop(run.id)
    await until(store, ended(1))
    void store.current.resume(run.id)
    const { runs } = await until(store, ({ runs }) => runs[0]?.continuedBy !== undefined && runs[0].status === 'completed')
    expect(runs).toMatchObject([{ run: run.id, query: 'three', ...asked }])
    expect(JSON.parse(textOf({ runs })).map(({ text }: { text: string }) => text)).toEqual(['one', 'two', 'three'])
  })

  it('is read again when the log was re-created, and followed from there', async () => {
    const { connect, counter, proxy, restart } = await startWorld()
    const session = connect('sse').session()
    const store = watch(session)
    counter.letTo(4)
    void store.current.ask('9')
    await until(store, (chat) => textOf(chat).includes('4'))
    proxy.refuse(true)
    const next = await restart()
    await next.run({ session: session.id, source: ['another'] })
    proxy.refuse(false)
    await until(store, (chat) => chat.status === 'live' && textOf(chat) === 'another')
    const run = await store.current.ask('2')
    await until(store, ended(2))
    expect(store.current.runs.map(({ run: id }) => id)).toEqual([expect.any(String), run.run])
    expect(textOf(store.current)).toBe('another\n1 2 ')
    expect(store.current.error).toBeUndefined()
  })

  it('is read again when retention was faster, and shows that its start is trimmed', async () => {
    const millrace = createMillrace({ engine: keepNewest(memoryEngine(), 2000) })
    onTestFinished(() => millrace.close())
    const { url } = await millrace.listen({ port: 0 })
    const client = connect(url)
    onTestFinished(() => client.close())
    const session = client.session()
    const store = chatOf(session)
    void store.current.ask('one', { models: ['sim:count?n=3&tps=0'] })
    await until(store, ended(1))
    for (let count = 0; count < 4; count++) {
      const run = await millrace.ask({ session: session.id, query: 'more', models: ['sim:count?n=1500&tps=0'] })
      await run.ended
    }
    const { runs, complete } = await until(store, (chat) => chat.status === 'live' && !chat.complete)
    expect(complete).toBe(false)
    expect(timeless(runs)).toEqual(timeless((await session.read()).runs))
  })

  it('is read again at a gap, and shows no text with a hole', async () => {
    const { connect, millrace } = await startWorld()
    const session = connect('sse').session('holed')
    await millrace.run({ session: 'holed', source: ['said before'] })
    const { forged, reads } = forge(session, (from, count) =>
      count === 1 ? [{ type: 'gap', id: from, data: { from, to: from } }] : [],
    )
    const store = watch(forged)
    const { runs } = await until(store, (chat) => chat.status === 'live' && reads() === 2)
    expect(timeless(runs)).toEqual(timeless((await session.read()).runs))
  })

  it('keeps its content when the session is deleted, closes, and is back when the session is re-created', async () => {
    const { connect, counter, restart } = await startWorld()
    const session = connect('sse').session()
    const store = watch(session)
    counter.letTo(3)
    void store.current.ask('9')
    await until(store, (chat) => textOf(chat).includes('3'))
    const next = await restart()
    const { error, runs } = await until(store, (chat) => chat.status === 'closed')
    expect(error).toMatchObject({ code: 'session_not_found' })
    expect(runs).toMatchObject([{ status: 'interrupted', lanes: [{ status: 'interrupted', text: '1 2 3 ' }] }])
    await next.run({ session: session.id, source: ['another'] })
    store.current.reload()
    const { lost } = await until(store, (chat) => chat.status === 'live' && textOf(chat) === 'another')
    expect(lost).toEqual(runs)
  })

  it('is retried while the server cannot be reached, and shows the reason', async () => {
    const { connect, counter, proxy, millrace } = await startWorld()
    const session = connect('sse').session('known')
    await millrace.run({ session: 'known', source: ['said before'] })
    proxy.refuse(true)
    const store = watch(session)
    const { status, runs } = await until(store, (chat) => chat.error !== undefined)
    expect({ status, runs }).toEqual({ status: 'loading', runs: [] })
    expect(store.current.error).toMatchObject({ code: 'unreachable' })
    proxy.refuse(false)
    counter.letTo(1)
    await until(store, (chat) => chat.status === 'live' && textOf(chat) === 'said before')
    expect(store.current.error).toBeUndefined()
  })
})

describe('a question', () => {
  it('is pending, in order, until its run appears; a rejected one stays until it is withdrawn', async () => {
    const { connect, counter } = await startWorld()
    const store = watch(connect('sse').session())
    const states: Chat[] = []
    onTestFinished(store.subscribe(() => states.push(store.current)))
    counter.letTo(2)
    const asked = [store.current.ask('1'), store.current.ask('2', { models: ['no:such-model'] }), store.current.ask('2')]
    expect(store.current.pending.map(({ id, query }) => ({ id, query }))).toEqual(
      asked.map(({ id }, index) => ({ id, query: ['1', '2', '2'][index] })),
    )
    await until(store, ended(2))
    expect(store.current.pending).toEqual([
      {
        id: asked[1]?.id,
        query: '2',
        models: ['no:such-model'],
        status: 'rejected',
        error: expect.objectContaining({ code: 'model_not_found' }),
      },
    ])
    // At no time is a question shown twice, or not at all.
    const [first] = asked.map(({ id }) => id)
    const places = states.map(({ runs, pending }) => [...runs.map(({ run }) => run), ...pending.map(({ id }) => id)])
    expect(places.map((ids) => ids.filter((id) => id === first))).toEqual(places.map(() => [first]))
    store.current.withdraw(asked[1]?.id ?? '')
    expect(store.current.pending).toEqual([])
  })

  it('is stopped by any client that knows its id; a stop after the end rejects and changes nothing', async () => {
    const { connect, counter } = await startWorld()
    const store = watch(connect('sse').session())
    counter.letTo(2)
    const run = store.current.ask('100')
    await until(store, (chat) => textOf(chat).includes('2'))
    const other = chatOf(connect('sse').session((await run).session))
    expect(await other.current.stop(run.id)).toMatchObject({ status: 'stopped' })
    expect((await until(store, ended(1))).runs).toMatchObject([{ status: 'stopped', lanes: [{ text: '1 2 ' }] }])
    await expect(other.current.stop('unknown')).rejects.toMatchObject({ code: 'run_not_found' })
  })

  it('is rejected when the log was lost after its run had started, and can be asked again', async () => {
    const { connect, counter, proxy, restart } = await startWorld()
    const session = connect('sse').session()
    const store = chatOf(session)
    await until(store, (chat) => chat.status === 'live')
    // Without a subscriber the start is not seen.
    await store.current.ask('1')
    expect(store.current.pending).toHaveLength(1)
    proxy.refuse(true)
    const next = await restart()
    await next.run({ session: session.id, source: ['another'] })
    proxy.refuse(false)
    const { pending } = await until(store, (chat) => textOf(chat) === 'another')
    expect(pending).toMatchObject([{ query: '1', status: 'rejected', error: { code: 'run_not_found', retryable: true } }])
    onTestFinished(store.subscribe(() => {}))
    counter.letTo(1)
    store.current.retry(pending[0]?.id ?? '')
    await until(store, (chat) => textOf(chat) === 'another\n1 ' && chat.pending.length === 0)
  })
})

describe('the read loop', () => {
  it('is shared by all subscribers, starts with the first and stops with the last; runs go on', async () => {
    const { connect, counter, proxy, millrace } = await startWorld()
    const client = connect('sse')
    const session = client.session('shared')
    await millrace.run({ session: 'shared', source: ['said before'] })
    const store = chatOf(session)
    expect(chatOf(client.session('shared'))).toBe(store)
    expect({ accepted: proxy.accepted, connections: millrace.connections }).toEqual({ accepted: 0, connections: 0 })
    const leave = store.subscribe(() => {})
    const leaveToo = store.subscribe(() => {})
    await status(client, ({ state }) => state === 'live')
    expect(millrace.connections).toBe(1)

    // As StrictMode does: unsubscribes and subscribes at once.
    const before = proxy.accepted
    leave()
    leaveToo()
    const leaveLast = store.subscribe(() => {})
    await Promise.resolve()
    expect({ isRead: session.isBeingRead, state: client.connection.current.state }).toEqual({ isRead: true, state: 'live' })
    expect(proxy.accepted).toBe(before)

    const run = await store.current.ask('3')
    leaveLast()
    await expect.poll(() => millrace.connections).toBe(0)
    expect(session.isBeingRead).toBe(false)
    counter.letTo(3)
    await millrace.findRun(run.run)?.ended
    expect(textOf(await until(store, ended(2)))).toBe('said before\n1 2 3 ')
  })

  it('shows every start and end, in far fewer updates than there are events', async () => {
    const { connect, counter } = await startWorld()
    const store = watch(connect('sse').session())
    await until(store, (chat) => chat.status === 'live')
    const seen: Chat[] = []
    onTestFinished(store.subscribe(() => seen.push(store.current)))
    counter.letTo(2000)
    void store.current.ask('2000')
    expect(seen).toMatchObject([{ pending: [{ query: '2000' }], runs: [] }])
    await until(store, ended(1))
    expect(seen.find(({ pending }) => pending.length === 0)).toMatchObject({
      runs: [{ status: 'streaming', lanes: [{ text: '' }] }],
    })
    expect(textOf(seen.at(-1) ?? { runs: [] })).toBe(
      oneTo(2000)
        .map((number) => `${number} `)
        .join(''),
    )
    expect(seen.length).toBeLessThan(1000)
  })

  it('closes when the client is closed, also while the transcript loads', async () => {
    const { connect, millrace } = await startWorld()
    await millrace.run({ session: 'known', source: ['said before'] })
    const one = connect('sse')
    const store = watch(one.session('known'))
    await until(store, (chat) => chat.status === 'live')
    one.close()
    expect(await until(store, (chat) => chat.status === 'closed')).toMatchObject({ error: undefined, runs: [{}] })
    const two = connect('sse')
    const other = watch(two.session('known'))
    two.close()
    expect((await until(other, (chat) => chat.status === 'closed')).error).toMatchObject({ code: 'closed' })
    await expect.poll(() => millrace.connections).toBe(0)
  })

  it('also notifies subscribers of another loop on the same session', async () => {
    const { connect } = await startWorld()
    const session = connect('sse').session()
    session.events()
    expect((await until(watch(session), (chat) => chat.status === 'closed')).error).toBeInstanceOf(TypeError)
  })
})
