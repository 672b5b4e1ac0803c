/** What a page needs of its store beside the transcript: questions that wait, sessions that are lost, and what is malformed. */
import type { Transcript } from '@millrace/client'
import { type Chat, chatOf } from '@millrace/client/chat'
import { describe, expect, it } from 'vitest'
import { startWorld } from '../src/client/world.ts'
import { createStorage, ended, forge, textOf, until, watch } from './support/chat.ts'

const isLive = ({ status }: Chat) => status === 'live'

describe('questions that wait', () => {
  it('outlive a reload, in order, and are asked once', async () => {
    const { connect, counter, proxy, millrace } = await startWorld()
    await millrace.run({ session: 's', source: ['said before'] })
    const storage = createStorage()
    const client = connect('sse')
    const before = watch(client.session('s'), { storage })
    await until(before, isLive)
    proxy.refuse(true)
    const ids = [before.current.ask('1', { models: ['counting'] }).id, before.current.queue('2', { instructions: 'count' })]
    expect([...storage.kept.keys()]).toEqual(['millrace.pending.s'])
    client.close()

    const after = watch(connect('sse').session('s'), { storage })
    expect(after.current.pending).toMatchObject([
      { id: ids[0], query: '1', models: ['counting'], status: 'queued' },
      { id: ids[1], query: '2', instructions: 'count', status: 'queued' },
    ])
    counter.letTo(2)
    proxy.refuse(false)
    const { runs, pending } = await until(after, ended(3))
    expect(runs.map(({ run }) => run).slice(1)).toEqual(ids)
    expect({ text: textOf({ runs }), pending }).toEqual({ text: 'said before\n1 \n1 2 ', pending: [] })
    // That they were asked here is known over the next reload too.
    expect([...storage.kept.values()]).toEqual([JSON.stringify(ids)])
  })

  it('outlive a reload also where their session was not made yet', async () => {
    const { connect, counter } = await startWorld()
    counter.letTo(1)
    const storage = createStorage()
    // What a tab leaves that asked without a connection and is gone.
    storage.setItem('millrace.pending.new', JSON.stringify([{ id: 'first', query: '1', status: 'sending' }]))
    const { runs, pending } = await until(watch(connect('sse').session('new'), { storage }), ended(1))
    expect({ runs: runs.map(({ run }) => run), text: textOf({ runs }), pending }).toEqual({
      runs: ['first'],
      text: '1 ',
      pending: [],
    })
  })

  it('stay rejected over a reload; what somebody else wrote there is ignored', async () => {
    const { connect } = await startWorld()
    const storage = createStorage()
    const client = connect('sse')
    const session = client.session()
    const store = watch(session, { storage })
    store.current.ask('1', { models: ['no:such-model'] }).catch(() => {})
    const { pending } = await until(store, (chat) => chat.pending[0]?.status === 'rejected')
    const [kept = ''] = storage.kept.values()
    client.close()
    storage.setItem(`millrace.pending.${session.id}`, JSON.stringify([...JSON.parse(kept), null, 7, { id: 8 }]))
    const after = watch(connect('sse').session(session.id), { storage })
    expect(after.current.pending).toMatchObject([
      { id: pending[0]?.id, query: '1', status: 'rejected', error: { code: 'model_not_found', retryable: false } },
    ])
    storage.setItem('millrace.pending.other', '{')
    expect(watch(connect('sse').session('other'), { storage }).current.pending).toEqual([])
  })

  it('are asked one by one when nothing is being answered, unless they are withdrawn', async () => {
    const { connect, counter } = await startWorld()
    const store = watch(connect('sse').session())
    counter.letTo(1)
    const first = store.current.ask('9')
    await until(store, (chat) => textOf(chat) === '1 ')
    const [second, third, fourth] = ['2', '3', '4'].map((query) => store.current.queue(query)) as [string, string, string]
    expect(store.current.pending.map(({ status }) => status)).toEqual(['queued', 'queued', 'queued'])
    store.current.withdraw(third)
    counter.letTo(9)
    const { runs } = await until(store, ended(3))
    expect(runs.map(({ run }) => run)).toEqual([first.id, second, fourth])
    expect(textOf({ runs }).split('\n').slice(1)).toEqual(['1 2 ', '1 2 3 4 '])
  })

  it('stop their run when they are withdrawn after they were sent', async () => {
    const { connect, counter, millrace } = await startWorld()
    const session = connect('sse').session()
    const store = chatOf(session)
    await until(store, isLive)
    counter.letTo(1)
    // Without a subscriber its start is not seen.
    const run = store.current.ask('9')
    await run
    store.current.withdraw(run.id)
    expect(store.current.pending).toEqual([])
    await expect.poll(() => millrace.findRun(run.id)?.end?.status).toBe('stopped')
  })
})

describe('an answer', () => {
  it('is marked while it is stopped and while it is resumed, and has the measures of all its runs', async () => {
    const { connect, counter } = await startWorld()
    const session = connect('sse').session()
    const store = watch(session)
    counter.letTo(2)
    const { id } = store.current.ask('4')
    await until(store, (chat) => textOf(chat) === '1 2 ')
    void store.current.stop(id)
    expect([...store.current.stopping]).toEqual([id])
    const stopped = await until(store, ended(1))
    expect(stopped.stopping.size).toBe(0)
    void store.current.resume(id)
    expect([...store.current.resuming]).toEqual([[id, undefined]])
    counter.letTo(4)
    const { runs, resuming } = await until(store, ({ runs }) => runs[0]?.status === 'completed')
    expect(resuming.size).toBe(0)
    const single = (await session.read()).runs
    expect(single).toHaveLength(2)
    const sum = single.reduce((all, { usage }) => all + (usage?.outputTokens ?? 0), 0)
    const durationMs = single.reduce((all, { timings }) => all + (timings?.durationMs ?? 0), 0)
    expect(runs).toMatchObject([
      {
        usage: { outputTokens: sum },
        timings: { durationMs },
        lanes: [{ usage: { outputTokens: sum }, timings: { durationMs } }],
      },
    ])

    // What is complete is not resumed, and the error says so.
    await expect(store.current.resume(id)).rejects.toMatchObject({ code: 'run_not_continuable' })
    expect(store.current.resuming.get(id)).toMatchObject({ code: 'run_not_continuable' })
    await expect(store.current.stop('unknown')).rejects.toMatchObject({ code: 'run_not_found' })
    expect(store.current.stopping.size).toBe(0)
  })
})

describe('a session that is lost', () => {
  it('is created again by the next question, and what was shown stays above it', async () => {
    const { connect, counter, restart } = await startWorld()
    const store = watch(connect('sse').session())
    counter.letTo(3)
    void store.current.ask('9')
    await until(store, (chat) => textOf(chat) === '1 2 3 ')
    await restart()
    await until(store, (chat) => chat.status === 'closed')
    const { id } = store.current.ask('1')
    const { lost, runs } = await until(store, ({ runs }) => runs[0]?.run === id && runs[0].status === 'completed')
    expect({ text: textOf({ runs: lost }), status: lost[0]?.status }).toEqual({ text: '1 2 3 ', status: 'interrupted' })
    expect(runs).toMatchObject([{ run: id, lanes: [{ text: '1 ' }] }])
  })

  it('is not created by a question where it has never been seen', async () => {
    const { connect, millrace } = await startWorld()
    const store = watch(connect('sse').session('of-somebody'))
    expect((await until(store, (chat) => chat.status === 'closed')).error).toMatchObject({ code: 'session_not_found' })
    await expect(store.current.ask('1')).rejects.toMatchObject({ code: 'session_not_found' })
    expect(await millrace.engine.inspect('of-somebody')).toBeUndefined()
  })
})

describe('the connection', () => {
  it('is that of the client, and says when the transcript is read again', async () => {
    const { connect, proxy, millrace } = await startWorld()
    await millrace.run({ session: 's', source: ['said before'] })
    proxy.refuse(true)
    const store = watch(connect('sse').session('s'))
    const { connection } = await until(store, (chat) => chat.connection.state === 'reconnecting')
    expect(connection).toMatchObject({ retryAt: expect.any(Number), error: { code: 'unreachable' } })
    proxy.refuse(false)
    expect((await until(store, (chat) => chat.connection.state === 'live')).connection).toMatchObject({ transport: 'sse' })
  })
})

describe('what is malformed', () => {
  const events = [
    { type: 'message', data: { run: 'r', lane: 'a', text: 7 } },
    { type: 'message', data: null },
    { type: 'stream_start', data: { run: 'r', query: 'q', lanes: [null] } },
    { type: 'stream_end', data: { run: 'r', status: 'completed' } },
    { type: 'file_data', data: {} },
  ]

  it.each(events)('is folded by no store, which reads the transcript again: $type $data', async (event) => {
    const { connect, millrace } = await startWorld()
    const session = connect('sse').session('s')
    await millrace.run({ session: 's', source: ['said before'] })
    const { forged, reads } = forge(session, (id, count) => [
      ...(count === 1 ? [{ ...event, id }] : []),
      // Of a newer server, which this one need not understand.
      { type: 'later', id, data: null },
    ])
    const store = watch(forged)
    await until(store, (chat) => isLive(chat) && reads() === 2)
    await millrace.run({ session: 's', source: ['and after'] })
    expect(textOf(await until(store, ended(2)))).toBe('said before\nand after')
    expect(reads()).toBe(2)
  })

  it.each([null, 'text', { runs: 7 }, { runs: [{ run: 'r' }] }])('as a transcript, %j, is an error that passes', async (body) => {
    const { connect, millrace } = await startWorld()
    const session = connect('sse').session('s')
    await millrace.run({ session: 's', source: ['said before'] })
    let reads = 0
    const read = async () => {
      const good = await session.read()
      if (reads++ > 0) return good
      return (typeof body === 'object' && body !== null ? { ...good, ...body } : body) as unknown as Transcript
    }
    const store = watch({ ...session, read })
    expect((await until(store, (chat) => chat.error !== undefined)).error).toMatchObject({ code: 'bad_answer' })
    expect(textOf(await until(store, isLive))).toBe('said before')
  })
})

describe('a call that waits for approval', () => {
  it.each(['sse', 'ws', 'hybrid', 'poll'] as const)(
    'is decided over %s, once, and the answer goes on in its place',
    async (transport) => {
      const { connect } = await startWorld()
      const store = watch(connect(transport).session())
      void store.current.ask('x', { models: ['sim:tool?name=mail&approve=1'] })
      const { runs } = await until(store, (chat) => chat.runs[0]?.status === 'waiting')
      const { run = '', lanes } = runs[0] ?? { lanes: [] }
      const [{ call } = { call: '' }] = lanes[0]?.parts.filter((part) => part.type === 'tool') ?? []
      const decided = store.current.decide(run, [{ call, decision: 'approve' }])
      await expect(store.current.decide(run, [{ call, decision: 'reject' }])).rejects.toMatchObject({ code: 'call_decided' })
      expect(await decided).toMatchObject({ run, waiting: [], continuedBy: expect.any(String) })
      const after = await until(store, (chat) => chat.runs[0]?.status === 'completed')
      expect(after.runs).toHaveLength(1)
      expect(after.runs[0]?.lanes[0]?.parts).toContainEqual(expect.objectContaining({ call, state: 'done' }))
    },
  )
})
