/** What a look at a log and its readers ask of the engine and of the other nodes. */
import { type Engine, memoryEngine, type NewEvent } from 'millrace'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { Recorded } from './cluster.ts'
import { createRecovery } from './recovery.ts'

const lanes = [{ lane: 'm', model: 'm' }]
const started = (run: string, node: string): NewEvent => ({
  type: 'stream_start',
  data: { run, session: 's', query: 'q', lanes, node },
})
const said = (run: string): NewEvent => ({ type: 'message', data: { run, lane: 'm', text: 'x' } })
const ended = (run: string): NewEvent => ({ type: 'stream_end', data: { run, status: 'completed' } })

function open(engine: Engine, recorded: Record<string, Partial<Recorded>> = {}) {
  onTestFinished(() => engine.close())
  const watched: string[] = []
  const live = new Set<string>()
  const asked = vi.fn()
  const recovery = createRecovery({
    engine: { ...engine, isShared: true },
    isOurs: () => false,
    readRecorded: async (run) => recorded[run] as Recorded | undefined,
    liveness: {
      id: 'here',
      join: async () => {},
      async isDead(node) {
        asked(node)
        return !live.has(node)
      },
      onNodeDead: (node, _log, run) => void watched.push(`${node} ${run}`),
      ended: (run) => void watched.splice(0, watched.length, ...watched.filter((each) => !each.endsWith(` ${run}`))),
    },
    onError: () => {},
  })
  return { ...recovery, watched, live, asked }
}

async function readAll(engine: Engine, eventsMax: number) {
  const state = await engine.inspect('s')
  if (state === undefined) throw new Error('There is no session.')
  let position = state.start
  while (position.offset < state.head.offset) ({ position } = await engine.read('s', position, { eventsMax }))
  return position
}

// What happened: each start in a page of history was asked after, of a node that was gone for weeks: five calls each.
it('asks after nobody for what is over, however it is read', async () => {
  const inner = memoryEngine()
  for (let n = 0; n < 30; n++)
    await inner.append('s', [started(`r${n}`, `node-${n}`), ...Array.from({ length: 9 }, () => said(`r${n}`)), ended(`r${n}`)])
  const calls = vi.fn()
  const append: Engine['append'] = (...request) => {
    calls(request[0])
    return inner.append(...request)
  }
  const { engine, watched, asked } = open({ ...inner, append })
  for (const eventsMax of [1, 7, 512]) await readAll(engine, eventsMax)
  expect([watched, asked.mock.calls, calls.mock.calls]).toEqual([[], [], []])
})

it('watches what goes on behind the last look, from the page in which it begins to the one with its end', async () => {
  const inner = memoryEngine()
  await inner.append('s', [started('old', 'gone'), ended('old')])
  const { engine, watched, live, asked } = open(inner)
  live.add('there')
  let position = await readAll(engine, 512)
  const readOn = async (...events: NewEvent[]) => {
    await inner.append('s', events)
    ;({ position } = await engine.read('s', position))
  }
  await readOn(started('a', 'there'), said('a'), started('b', 'there'), ended('b'))
  expect(watched).toEqual(['there a'])
  await readOn(said('a'))
  await readOn(ended('a'))
  expect(watched).toEqual([])
  expect(asked).not.toHaveBeenCalled()
})

it('looks at what lies between the last look and a page behind it', async () => {
  const inner = memoryEngine()
  await inner.append('s', [])
  const { engine, watched, live } = open(inner)
  live.add('there')
  const start = await readAll(engine, 512)
  await inner.append('s', [started('a', 'there'), said('a')])
  await inner.append('s', [started('b', 'there')])
  await engine.read('s', { ...start, offset: 2 })
  await vi.waitFor(() => expect(watched.toSorted()).toEqual(['there a', 'there b']))
})

it.each([
  ['of a node that is gone', { claim: { node: 'gone', lanes } }, ['stream_end']],
  ['of a node that lives', { claim: { node: 'there', lanes } }, []],
  ['that has ended', { claim: { node: 'gone', lanes }, end: { status: 'completed' } }, []],
  ['that nobody knows', undefined, []],
] as const)('of a run whose start is no longer kept, %s, writes an end where it is needed', async (_of, recorded, written) => {
  const inner = memoryEngine({ bytesMax: 1500 })
  await inner.append('s', [started('a', 'gone'), ...Array.from({ length: 30 }, () => said('a'))])
  const { recover, live } = open(inner, recorded && { a: recorded as never })
  live.add('there')
  const head = (await inner.inspect('s'))?.head
  await recover('s')
  const { events } = await inner.read('s', head as never)
  expect(events.map(({ type }) => type)).toEqual(written)
})
