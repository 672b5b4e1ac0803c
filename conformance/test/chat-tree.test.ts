/** The path of a session's tree that a store shows, from a real server. */
import type { Chat } from '@millrace/client/chat'
import { expect, it } from 'vitest'
import { startWorld } from '../src/client/world.ts'
import { until, watch } from './support/chat.ts'

const shown = ({ runs }: Chat) => runs.map(({ query }) => query)
const hasEnded =
  (...queries: string[]) =>
  (chat: Chat) =>
    JSON.stringify(shown(chat)) === JSON.stringify(queries) && chat.runs.every(({ status }) => status !== 'streaming')

async function startTree() {
  const { connect } = await startWorld()
  const session = connect('sse').session()
  const store = watch(session)
  await until(store, ({ status }) => status === 'live')
  const models = ['sim:count?n=1&tps=0']
  const one = store.current.ask('one', { models }).id
  const two = store.current.ask('two', { models, metadata: { a: 'b' } }).id
  await until(store, hasEnded('one', 'two'))
  return { connect, session, store, one, two, models }
}

it('shows what is regenerated, edited or branched off, and others that are chosen', async () => {
  const { store, one, two } = await startTree()
  expect(store.current.siblings.size).toBe(0)
  const again = store.current.regenerate(two).id
  expect(store.current.pending).toMatchObject([{ id: again, query: 'two', parent: one }])
  await until(store, (chat) => hasEnded('one', 'two')(chat) && chat.runs[1]?.run === again)
  expect(store.current.runs[1]).toMatchObject({ parent: one, metadata: { a: 'b' }, lanes: [{ model: 'sim:count?n=1&tps=0' }] })
  const edited = store.current.edit(two, 'other').id
  await until(store, hasEnded('one', 'other'))
  expect(store.current.siblings.get(again)).toEqual([two, again, edited])

  store.current.choose(two)
  expect(store.current.runs.map(({ run }) => run)).toEqual([one, two])
  const three = store.current.ask('three', { models: ['sim:count?n=1&tps=0'] }).id
  await until(store, hasEnded('one', 'two', 'three'))
  store.current.choose(again)
  expect(store.current.runs.map(({ run }) => run)).toEqual([one, again])
  store.current.choose(two)
  expect(store.current.runs.map(({ run }) => run)).toEqual([one, two, three])
  void store.current.branch(one, 'four', { models: ['sim:count?n=1&tps=0'] })
  await until(store, hasEnded('one', 'four'))
  expect(store.current.siblings.get(two)).toHaveLength(4)
})

it('is the same for a reader that comes later, and follows what others ask', async () => {
  const { connect, session, store, one, two, models } = await startTree()
  await session.edit(two, 'other')
  await until(store, hasEnded('one', 'other'))
  const later = watch(connect('sse').session(session.id))
  await until(later, hasEnded('one', 'other'))
  expect(later.current.siblings).toEqual(store.current.siblings)
  await session.branch(one, 'third', { models })
  await Promise.all([store, later].map((each) => until(each, hasEnded('one', 'third'))))
  await session.run({ query: 'beside', parent: null, models })
  await until(later, hasEnded('beside'))
  expect(later.current.siblings.get(one)).toHaveLength(2)
})

it('shows why a question was rejected, and asks it again', async () => {
  const { session, store, two } = await startTree()
  await expect(store.current.branch('unknown', 'x')).rejects.toMatchObject({ code: 'parent_not_found' })
  expect(store.current.pending).toMatchObject([{ status: 'rejected', error: { code: 'parent_not_found' } }])
  store.current.withdraw(store.current.pending[0]?.id as string)
  await expect(session.regenerate('unknown')).rejects.toMatchObject({ code: 'run_not_found' })
  await expect(store.current.edit(two, 'y', { params: { seed: 1 } })).rejects.toMatchObject({ code: 'param_not_supported' })
  expect(store.current.pending).toMatchObject([{ query: 'y', regenerates: two, status: 'rejected' }])
})

it('shows the questions that wait on the server, in every tab, and changes them', async () => {
  const { connect, counter } = await startWorld()
  const session = connect('sse').session()
  const [here, there] = [watch(session), watch(connect('ws').session(session.id))]
  await until(here, ({ status }) => status === 'live')
  void here.current.ask('9', { models: ['counting'] })
  counter.letTo(1)
  await until(there, ({ runs }) => runs.length === 1)
  const [second, third, fourth] = ['2', '3', '4'].map((query) => here.current.queue(query, { models: ['counting'] })) as [
    string,
    string,
    string,
  ]
  const waiting = ({ pending }: Chat) => pending.map(({ id, query, isQueued }) => (isQueued ? `${id} ${query}` : ''))
  await until(there, (chat) => chat.pending.length === 3)
  await until(here, ({ pending }) => pending.length === 3)
  expect(waiting(there.current)).toEqual([`${second} 2`, `${third} 3`, `${fourth} 4`])
  await there.current.changeQueued(third, { query: '1' })
  there.current.withdraw(second)
  await until(here, (chat) => waiting(chat).join() === [`${third} 1`, `${fourth} 4`].join())
  await here.current.moveQueued(fourth, third)
  await until(there, (chat) => waiting(chat).join() === [`${fourth} 4`, `${third} 1`].join())
  await there.current.moveQueued(fourth, null)
  await until(here, (chat) => waiting(chat).join() === [`${third} 1`, `${fourth} 4`].join())
  counter.letTo(9)
  await until(here, hasEnded('9', '1', '4'))
  expect(here.current.pending).toEqual([])
  await expect(here.current.moveQueued(fourth, null)).rejects.toMatchObject({ code: 'queue_entry_not_found' })
  await expect(session.queue.remove(fourth)).rejects.toMatchObject({ code: 'queue_entry_not_found' })
})

it('steers: what was said stays, and the new question is next', async () => {
  const { connect, counter } = await startWorld()
  const store = watch(connect('sse').session())
  await until(store, ({ status }) => status === 'live')
  void store.current.ask('9', { models: ['counting'] })
  counter.letTo(2)
  await until(store, ({ runs }) => runs[0]?.lanes[0]?.text === '1 2 ')
  store.current.queue('2', { models: ['sim:count?n=1&tps=0'] })
  await until(store, ({ pending }) => pending.length === 1 && pending[0]?.isQueued === true)
  store.current.steer('1', { models: ['sim:count?n=1&tps=0'] })
  await until(store, hasEnded('9', '1', '2'))
  expect(store.current.runs.map(({ status }) => status)).toEqual(['stopped', 'completed', 'completed'])
  expect(store.current.runs[0]?.lanes[0]?.text).toBe('1 2 ')
})
