/** Which runs recovery ends, which nodes it watches, and what it asks of the engine and of the other nodes. */
import { MillraceError, type Position } from '@millrace/protocol'
import { type Engine, memoryEngine, type NewEvent } from 'millrace'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { Recorded } from './cluster.ts'
import { Recovery } from './recovery.ts'

const lanes = [{ lane: 'm', model: 'm' }]
const started = (run: string, node: string): NewEvent => ({
  type: 'stream_start',
  data: { run, session: 's', query: 'q', lanes, node },
})
const said = (run: string): NewEvent => ({ type: 'message', data: { run, lane: 'm', text: 'x' } })
const ended = (run: string): NewEvent => ({ type: 'stream_end', data: { run, status: 'completed' } })

function open(inner: Engine, recorded: Record<string, Partial<Recorded>> = {}) {
  onTestFinished(() => inner.close())
  const engine: Engine = { ...inner, isShared: true }
  const watched = new Set<string>()
  const live = new Set<string>()
  const asked = vi.fn()
  const runEnded = vi.fn()
  const recovery = new Recovery({
    engine,
    isOurs: () => false,
    readRecorded: async (run) => recorded[run] as Recorded | undefined,
    liveness: {
      id: 'here',
      join: async () => {},
      async isDead(node) {
        asked(node)
        return !live.has(node)
      },
      watchNode: (node) => void watched.add(node),
    },
    signal: new AbortController().signal,
    observer: { runEnded },
    onError: () => {},
  })
  /** As a reader of this server reads. */
  const read = async (after: Position, eventsMax = 512) => {
    const page = await engine.read('s', after, { eventsMax })
    recovery.observe('s', page)
    return page
  }
  const readAll = async (eventsMax: number) => {
    const state = await recovery.open('s')
    if (state === undefined) throw new Error('There is no session.')
    let position = state.start
    while (position.offset < state.head.offset) ({ position } = await read(position, eventsMax))
    return position
  }
  const typesAfter = async (offset: number) => {
    const epoch = (await inner.inspect('s'))?.head.epoch ?? ''
    return (await inner.read('s', { epoch, offset })).events.map(({ type, data }) => `${type} ${(data as { run: string }).run}`)
  }
  return { recovery, read, readAll, typesAfter, watched, live, asked, runEnded }
}

// What happened: each start in a page of history was checked, of nodes that had been dead for weeks, with five calls each.
it('checks no node of a run that has ended, whatever the size of the pages', async () => {
  const inner = memoryEngine()
  for (let n = 0; n < 30; n++)
    await inner.append('s', [started(`r${n}`, `node-${n}`), ...Array.from({ length: 9 }, () => said(`r${n}`)), ended(`r${n}`)])
  const calls = vi.fn()
  const append: Engine['append'] = (...request) => {
    calls(request[0])
    return inner.append(...request)
  }
  const { readAll, watched, asked } = open({ ...inner, append })
  for (const eventsMax of [1, 7, 512]) await readAll(eventsMax)
  expect([[...watched], asked.mock.calls, calls.mock.calls]).toEqual([[], [], []])
})

it('watches the node of a run that a reader sees start, and writes nothing when it is read', async () => {
  const inner = memoryEngine()
  await inner.append('s', [started('old', 'dead'), ended('old')])
  const { read, readAll, watched, asked } = open(inner)
  let position = await readAll(512)
  const readOn = async (...events: NewEvent[]) => {
    await inner.append('s', events)
    ;({ position } = await read(position))
  }
  await readOn(started('b', 'other'), ended('b'))
  expect([...watched]).toEqual([])
  await readOn(started('a', 'there'), said('a'))
  await readOn(said('a'))
  expect([...watched]).toEqual(['there'])
  expect(asked).not.toHaveBeenCalled()
  expect((await inner.inspect('s'))?.head.offset).toBe(position.offset)
})

it('reads the events between its checkpoint and the page of a reader', async () => {
  const inner = memoryEngine()
  await inner.append('s', [])
  const { read, readAll, watched } = open(inner)
  const start = await readAll(512)
  await inner.append('s', [started('a', 'there'), said('a')])
  await inner.append('s', [started('b', 'elsewhere')])
  await read({ ...start, offset: 2 })
  await expect.poll(() => [...watched].toSorted()).toEqual(['elsewhere', 'there'])
})

// What happened: logs were kept for as long as their node lived, and after 10,000 of them no other was recovered.
it('ends the unfinished runs of a node that died, and no others', async () => {
  const inner = memoryEngine()
  await inner.append('s', [started('ended', 'there'), ended('ended'), started('a', 'there'), started('b', 'elsewhere')])
  const { recovery, typesAfter, live } = open(inner)
  live.add('there').add('elsewhere')
  await recovery.open('s')
  live.delete('there')
  await recovery.recoverRunsOf('there')
  expect(await typesAfter(4)).toEqual(['stream_end a'])
})

it('observes the end of a run once, where two servers recover its session at the same time', async () => {
  const inner = memoryEngine()
  const principal = 'ada'
  await inner.append('s', [started('a', 'dead'), said('a')])
  const servers = [open(inner, { a: { claim: { principal } as never } }), open(inner, { a: { claim: { principal } as never } })]
  await Promise.all(servers.map(({ recovery }) => recovery.recover('s')))
  const ends = servers.flatMap(({ runEnded }) => runEnded.mock.calls)
  expect(ends).toEqual([
    [
      { run: 'a', session: 's', principal, lanes, continues: undefined, metadata: undefined },
      expect.objectContaining({ status: 'interrupted' }),
    ],
  ])
})

it('observes an end once whose append was carried out, and only its answer lost; and one that was not', async () => {
  for (const isCarriedOut of [true, false]) {
    const inner = memoryEngine()
    await inner.append('s', [started('a', 'dead'), said('a')])
    let isLost = false
    const append: Engine['append'] = async (...given) => {
      if (isLost) return inner.append(...given)
      isLost = true
      if (isCarriedOut) await inner.append(...given)
      throw new MillraceError('engine_busy')
    }
    const { recovery, runEnded, typesAfter } = open({ ...inner, append })
    await expect(recovery.recover('s')).rejects.toMatchObject({ code: 'engine_busy' })
    expect(runEnded).not.toHaveBeenCalled()
    for (let again = 0; again < 2; again++) await recovery.recover('s')
    expect(runEnded).toHaveBeenCalledTimes(1)
    expect(await typesAfter(2)).toEqual(['stream_end a'])
  }
})

it('observes no end of a log that was deleted before the append of the end was tried again', async () => {
  const inner = memoryEngine()
  await inner.append('s', [started('a', 'dead')])
  const append: Engine['append'] = () => Promise.reject(new MillraceError('engine_busy'))
  const { recovery, runEnded } = open({ ...inner, append })
  await expect(recovery.recover('s')).rejects.toMatchObject({ code: 'engine_busy' })
  await inner.delete('s')
  await inner.append('s', [started('b', 'dead'), ended('b')])
  await recovery.recover('s')
  expect(runEnded).not.toHaveBeenCalled()
})

it('recovers a few logs at a time, however many a node had runs in', async () => {
  const inner = memoryEngine()
  let recovering = 0
  let most = 0
  const append: Engine['append'] = async (...request) => {
    recovering += 1
    most = Math.max(most, recovering)
    await new Promise(setImmediate)
    recovering -= 1
    return inner.append(...request)
  }
  const { recovery, live } = open({ ...inner, append })
  live.add('there')
  const logs = Array.from({ length: 100 }, (_, n) => `s${n}`)
  for (const log of logs) {
    await inner.append(log, [started(`run-${log}`, 'there')])
    await recovery.open(log)
  }
  live.clear()
  await recovery.recoverRunsOf('there')
  const heads = await Promise.all(logs.map(async (log) => (await inner.inspect(log))?.head.offset))
  expect(new Set(heads)).toEqual(new Set([2]))
  expect(most).toBeLessThanOrEqual(8)
})

// What happened: a scan that failed half way forgot the log, and the death of its node later ended nothing.
it('keeps what it knows of a log when reading on in it fails', async () => {
  const inner = memoryEngine()
  await inner.append('s', [started('a', 'there')])
  let isUnavailable = false
  const { recovery, typesAfter, live } = open({
    ...inner,
    async read(...request) {
      if (isUnavailable) throw new MillraceError('engine_failed')
      return inner.read(...request)
    },
  })
  live.add('there')
  await recovery.open('s')
  await inner.append('s', [said('a')])
  isUnavailable = true
  await expect(recovery.recover('s')).rejects.toMatchObject({ code: 'engine_failed' })
  isUnavailable = false
  live.clear()
  await recovery.recoverRunsOf('there')
  expect(await typesAfter(2)).toEqual(['stream_end a'])
})

it.each([
  ['of a dead node', { claim: { node: 'dead', lanes } }, ['stream_end a']],
  ['of a node that is alive', { claim: { node: 'there', lanes } }, []],
  ['that has ended', { claim: { node: 'dead', lanes }, end: { status: 'completed' } }, []],
  ['that is not recorded', undefined, []],
] as const)('writes the end of a run whose start was deleted, %s, where it is needed', async (_of, recorded, written) => {
  const inner = memoryEngine({ bytesMax: 1500 })
  await inner.append('s', [started('a', 'dead'), ...Array.from({ length: 30 }, () => said('a'))])
  const { recovery, typesAfter, live } = open(inner, recorded && { a: recorded as never })
  live.add('there')
  const head = (await inner.inspect('s'))?.head.offset ?? 0
  await recovery.recover('s')
  expect(await typesAfter(head)).toEqual(written)
})
