/** Calls of tools in the store of a session: approved, rejected, executed by the application; and the ends of runs. */
import { connect, type TransportName } from '@millrace/client'
import { type Chat, type ChatOptions, type ClientCall, chatOf, findRun, typedParts } from '@millrace/client/chat'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createStorage, until, watch } from './support/chat.ts'
import { serveTools } from './support/tools.ts'

async function setup(transport: TransportName, options: ChatOptions = {}) {
  const url = await serveTools()
  const open = (id?: string, own: ChatOptions = {}) => {
    const client = connect(url, { transport })
    onTestFinished(() => client.close())
    const session = client.session(id)
    const store = watch(session, own)
    return { session, store }
  }
  return { open, ...open(undefined, options) }
}

const stateOf = ({ runs }: Chat) => runs.at(-1)?.status
const textOf = ({ runs }: Chat) => runs.at(-1)?.lanes[0]?.text

describe.each(['sse', 'ws', 'poll'] as const)('over %s, a call that waits', (transport) => {
  it('is approved from another device, and the answer goes on in its place on both', async () => {
    const { store, session, open } = await setup(transport)
    const run = store.current.ask('pay')
    await until(store, (chat) => stateOf(chat) === 'waiting')
    const other = open(session.id).store
    await until(other, (chat) => stateOf(chat) === 'waiting')
    expect(await other.current.approve(run.id, 'c1')).toMatchObject({ waiting: [], continuedBy: expect.any(String) })
    for (const one of [store, other]) {
      const { runs } = await until(one, (chat) => stateOf(chat) === 'completed')
      expect(runs).toMatchObject([
        {
          run: run.id,
          lanes: [{ text: 'got paid 5', parts: [{ type: 'tool', state: 'done', value: 'paid 5' }, { type: 'text' }] }],
        },
      ])
    }
    // It counts once.
    await expect(store.current.decide(run.id, [{ call: 'c1', decision: 'reject' }])).rejects.toMatchObject({ retryable: false })
  })

  it('is rejected with a reason, which the model gets', async () => {
    const { store } = await setup(transport)
    const run = store.current.ask('pay')
    await until(store, (chat) => stateOf(chat) === 'waiting')
    await store.current.decide(run.id, [{ call: 'c1', decision: 'reject', reason: 'too much' }])
    const { runs } = await until(store, (chat) => stateOf(chat) === 'completed')
    expect(runs[0]?.lanes[0]?.parts[0]).toMatchObject({ state: 'rejected', decision: { reason: 'too much' } })
    expect(textOf(store.current)).toContain('too much')
  })
})

describe('a tool of the application', () => {
  it('is executed where the run was asked, once, and its result is sent', async () => {
    const calls: unknown[] = []
    const ends: unknown[] = []
    const { store, session, open } = await setup('sse', {
      onToolCall: async (call) => {
        calls.push(call)
        return { city: 'Bern' }
      },
      onEnd: ({ status }) => void ends.push(status),
    })
    await until(store, ({ status }) => status === 'live')
    const onToolCall = () => expect.unreachable()
    const { store: other } = open(session.id, { onToolCall })
    const run = store.current.ask('place')
    await until(other, (chat) => stateOf(chat) === 'completed')
    await until(store, (chat) => stateOf(chat) === 'completed')
    expect(textOf(store.current)).toBe('got {"city":"Bern"}')
    expect(calls).toEqual([{ call: 'c1', name: 'place', arguments: { sum: 5 }, run: run.id }])
    expect(ends).toEqual(['waiting', 'completed'])
  })

  it('is executed after a reload of the page that asked, by one of its tabs, and by no other device', async () => {
    const storage = createStorage()
    const { store, session, open } = await setup('sse', { storage })
    const run = store.current.ask('place')
    await until(store, (chat) => stateOf(chat) === 'waiting')
    const { store: elsewhere } = open(session.id, { onToolCall: () => expect.unreachable() })
    await until(elsewhere, (chat) => stateOf(chat) === 'waiting')
    const calls: unknown[] = []
    const onToolCall = async (call: ClientCall) => {
      calls.push(call)
      return { city: 'Bern' }
    }
    const tabs = [1, 2].map(() => open(session.id, { storage, onToolCall }).store)
    for (const one of [...tabs, elsewhere]) await until(one, (chat) => stateOf(chat) === 'completed')
    expect(calls).toEqual([{ call: 'c1', name: 'place', arguments: { sum: 5 }, run: run.id }])
    expect(textOf(elsewhere.current)).toBe('got {"city":"Bern"}')
    // Once more: it is decided.
    const { store: again } = open(session.id, { storage, onToolCall })
    await until(again, ({ status }) => status === 'live')
    expect(calls).toHaveLength(1)
  })

  it('may fail, and may leave the result to somebody else', async () => {
    const { store } = await setup('sse', {
      onToolCall({ run }) {
        if (run === first.id) throw new Error('no place')
        return undefined
      },
    })
    await until(store, ({ status }) => status === 'live')
    const first = store.current.ask('place')
    await until(store, (chat) => stateOf(chat) === 'completed')
    expect(textOf(store.current)).toContain('no place')
    const second = store.current.ask('place')
    await until(store, ({ runs }) => runs[1]?.status === 'waiting')
    await store.current.addToolResults(second.id, [{ call: 'c1', value: 'here' }])
    await until(store, ({ runs }) => runs[1]?.status === 'completed')
    expect(textOf(store.current)).toBe('got here')
  })
})

interface Mine {
  readonly data: { readonly chart: { readonly points: readonly number[] } }
  readonly tools: { readonly weather: { readonly arguments: { readonly city: string }; readonly value: number } }
}

it('has the types that an application gives to its tools and its data, in the store too', async () => {
  const { session } = await setup('sse')
  const store = chatOf<Mine>(session, {
    // For the compiler: `arguments` is of the only tool.
    onToolCall: ({ name, arguments: given }) => (name === 'weather' ? given.city.length : undefined),
    onEnd: ({ lanes }) => lanes[0]?.parts.map((part) => (part.type === 'data' ? part.value.points.length : 0)),
  })
  const points = (chat: Chat<Mine>) =>
    chat.runs.flatMap(({ lanes }) => lanes.flatMap(({ parts }) => parts.map((part) => part.type === 'data' && part.value.points)))
  expect(points(store.current)).toEqual([])
  expect(findRun(store.current, 'none')?.lanes[0]?.parts).toBeUndefined()
})

it('has the types that an application gives to its parts', () => {
  const parts = [
    { type: 'data', name: 'chart', value: { points: [1, 2] } },
    { type: 'tool', call: 'x', name: 'weather', state: 'done', arguments: { city: 'Bern' }, value: 7 },
  ] as const
  const shown = typedParts<Mine>({ parts }).map((part) => {
    if (part.type === 'data') return part.value.points.length
    return part.type === 'tool' && part.name === 'weather' ? `${part.arguments?.city.length} ${part.value?.toFixed(1)}` : ''
  })
  expect(shown).toEqual([2, '4 7.0'])
})
