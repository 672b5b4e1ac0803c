import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { reduceSession } from './reduce.ts'
import type { SessionState } from './state.ts'
import { type Connection, openSessionStream, type SnapshotAnswer } from './stream.ts'
import { epoch, position, snapshot } from './testing/log.ts'

/** An EventSource that does what the test says; only what the wrapper uses of the real one. */
class FakeSource extends EventTarget {
  readyState = 0
  onopen: (() => void) | null = null
  onerror: (() => void) | null = null
  readonly from: string
  constructor(from: string) {
    super()
    this.from = from
  }
  open() {
    this.readyState = 1
    this.onopen?.()
  }
  fail(readyState: 0 | 2) {
    this.readyState = readyState
    this.onerror?.()
  }
  deliver(type: string, data: unknown, lastEventId: string) {
    this.dispatchEvent(Object.assign(new Event(type), { data: JSON.stringify(data), lastEventId }))
  }
  close() {
    this.readyState = 2
  }
}

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

function openStream({ isBusy = false } = {}) {
  const sources: FakeSource[] = []
  const seen: Connection[] = []
  let state: SessionState | undefined
  let answer: SnapshotAnswer = { kind: 'snapshot', state: snapshot([]) }
  let snapshots = 0
  const stream = openSessionStream(
    's',
    {
      position: () => state?.position,
      takeSnapshot: (next) => (state = next),
      takeEvent(event) {
        if (state !== undefined) state = reduceSession(state, event)
        return state?.stale === false
      },
      takeConnection: (connection) => seen.push(connection),
      isBusy: () => isBusy,
    },
    {
      openEventSource(_, from) {
        const source = new FakeSource(from)
        sources.push(source)
        return source as unknown as EventSource
      },
      async readSnapshot() {
        snapshots++
        return answer
      },
      setTimer(run, delayMs) {
        const timer = setTimeout(run, delayMs)
        return () => clearTimeout(timer)
      },
      now: () => Date.now(),
      random: () => 0,
    },
  )
  return {
    stream,
    sources,
    seen,
    source: () => sources.at(-1) as FakeSource,
    states: () => seen.map((connection) => connection.state),
    state: () => state,
    answers: (next: SnapshotAnswer) => (answer = next),
    snapshots: () => snapshots,
    settle: () => vi.advanceTimersByTimeAsync(0),
  }
}

const start = { run: 'r', session: 's', query: 'q', lanes: [{ lane: 'a', model: 'a' }] }

test('reads the snapshot, then goes on from its position', async () => {
  const page = openStream()
  await page.settle()
  expect(page.source().from).toBe(position(0))
  page.source().open()
  expect(page.states()).toEqual(['catching-up', 'live'])
})

test('leaves a cut connection to the browser, which comes back with the last id it saw', async () => {
  const page = openStream()
  await page.settle()
  page.source().open()
  page.source().fail(0)
  expect(page.seen.at(-1)).toEqual({ state: 'reconnecting' })
  await vi.advanceTimersByTimeAsync(20_000)
  expect(page.sources).toHaveLength(1)
  page.source().open()
  expect(page.seen.at(-1)).toEqual({ state: 'live' })
})

test('comes back by itself after an answer on which the browser gives up, waiting longer each time', async () => {
  const page = openStream()
  await page.settle()
  page.source().open()
  page.answers({ kind: 'unreachable' })
  page.source().fail(2)
  const delays = []
  for (let attempt = 0; attempt < 8; attempt++) {
    const last = page.seen.at(-1)
    if (last?.state !== 'reconnecting' || last.retryAt === undefined) throw new Error('it should tell when it tries again')
    delays.push(last.retryAt - Date.now())
    await vi.advanceTimersByTimeAsync(last.retryAt - Date.now())
  }
  // With a random of 0 the wait is half of 1 s, 2 s, 4 s … up to half of 30 s.
  expect(delays).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000])
  page.answers({ kind: 'snapshot', state: snapshot([{ type: 'stream_start', data: start }]) })
  await vi.advanceTimersByTimeAsync(30_000)
  expect(page.source().from).toBe(position(1))
  page.source().open()
  expect(page.seen.at(-1)).toEqual({ state: 'live' })
})

test('stops trying when the session is gone, and says so', async () => {
  const page = openStream()
  await page.settle()
  page.source().open()
  page.answers({ kind: 'missing' })
  page.source().fail(2)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(page.seen.at(-1)).toEqual({ state: 'lost' })
  expect(page.sources).toHaveLength(1)
})

test.each([
  ['a gap', 'gap', { from: position(1), to: position(9) }, ''],
  ['an event of another epoch', 'stream_start', start, 'zzzzzzzz-1'],
  ['an event that cannot be read', 'message', { text: 3 }, position(1)],
])('takes a new snapshot after %s', async (_, type, data, id) => {
  const page = openStream()
  await page.settle()
  page.source().open()
  const old = page.source()
  old.deliver(type, data, id)
  expect(old.readyState).toBe(2)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(page.snapshots()).toBe(2)
  expect(page.sources).toHaveLength(2)
  // What the old connection still had in its pipe belongs to nobody.
  old.deliver('stream_start', start, `${epoch}-1`)
  expect(page.state()?.runs).toEqual([])
})

test('connects anew from the last position handled when told that the network is back', async () => {
  const page = openStream()
  await page.settle()
  page.source().open()
  page.source().deliver('stream_start', start, position(1))
  page.stream.reconnect()
  expect(page.sources).toHaveLength(2)
  expect(page.source().from).toBe(position(1))
  expect(page.snapshots()).toBe(1)
})

test('does not trust half a minute of silence while an answer is expected', async () => {
  const busy = openStream({ isBusy: true })
  await busy.settle()
  busy.source().open()
  await vi.advanceTimersByTimeAsync(30_000)
  expect(busy.sources).toHaveLength(2)

  const idle = openStream({ isBusy: false })
  await idle.settle()
  idle.source().open()
  await vi.advanceTimersByTimeAsync(300_000)
  expect(idle.sources).toHaveLength(1)
})

test('does nothing any more once it is closed', async () => {
  const page = openStream()
  page.stream.close()
  await vi.advanceTimersByTimeAsync(60_000)
  page.stream.reconnect()
  expect(page.sources).toHaveLength(0)
  expect(page.state()).toBeUndefined()
})
