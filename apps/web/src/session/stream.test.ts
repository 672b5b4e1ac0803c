import type { Client, ConnectionStatus, SessionLogEvent } from '@millrace/client'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { reduceSession } from './reduce.ts'
import type { SessionState } from './state.ts'
import { openSessionStream, type SessionConnection, type SnapshotAnswer } from './stream.ts'
import { position, snapshot } from './testing/log.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

/** A client that says what the test says; only what the page uses of the real one. */
function fakeClient() {
  const loops: { from: string; signal: AbortSignal; deliver(event: object): void; fail(): void }[] = []
  const listeners = new Set<(status: ConnectionStatus) => void>()
  let current: ConnectionStatus = {
    state: 'idle',
    transport: 'sse',
    attempt: 0,
    isLeading: true,
    lost: 0,
    repeated: 0,
    resumed: 0,
  }
  const client = {
    connection: {
      get current() {
        return current
      },
      subscribe(listener: (status: ConnectionStatus) => void) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
    session: () => ({
      async *events({ from, signal }: { from: string; signal: AbortSignal }) {
        const queue: object[] = []
        let wake = () => {}
        let hasFailed = false
        const notify = () => wake()
        signal.addEventListener('abort', notify)
        loops.push({
          from,
          signal,
          deliver(event) {
            queue.push(event)
            notify()
          },
          fail() {
            hasFailed = true
            notify()
          },
        })
        while (!signal.aborted) {
          const event = queue.shift()
          if (event !== undefined) yield event as SessionLogEvent
          else if (hasFailed) throw new Error('it cannot go on')
          else await new Promise<void>((resolve) => (wake = resolve))
        }
      },
    }),
  } as unknown as Client
  return {
    client,
    loops,
    say(status: Partial<ConnectionStatus>) {
      current = { ...current, ...status } as ConnectionStatus
      for (const listener of listeners) listener(current)
    },
  }
}

function openStream() {
  const fake = fakeClient()
  const seen: SessionConnection[] = []
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
    },
    {
      client: fake.client,
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
    ...fake,
    stream,
    seen,
    loop: () => fake.loops.at(-1) as (typeof fake.loops)[number],
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
  expect(page.loop().from).toBe(position(0))
  page.say({ state: 'connecting' })
  page.say({ state: 'live', transport: 'ws' })
  expect(page.seen.at(-1)).toEqual({ state: 'live', transport: 'ws' })
  page.loop().deliver({ type: 'stream_start', data: start, id: position(1) })
  page.loop().deliver({ type: 'of_a_later_server', data: {}, id: position(2) })
  await page.settle()
  expect(page.state()?.runs.map(({ run }) => run)).toEqual(['r'])
})

test('shows what the client says of a cut connection, and when it tries again', async () => {
  const page = openStream()
  await page.settle()
  const retryAt = Date.now() + 700
  page.say({ state: 'reconnecting', retryAt })
  expect(page.seen.at(-1)).toEqual({ state: 'reconnecting', retryAt })
  page.say({ state: 'offline', retryAt: retryAt + 200 })
  expect(page.seen.at(-1)).toEqual({ state: 'reconnecting', retryAt: retryAt + 200 })
  expect([page.loops.length, page.snapshots()]).toEqual([1, 1])
})

test('asks for the snapshot again while the server cannot be reached, waiting longer each time', async () => {
  const page = openStream()
  await page.settle()
  page.answers({ kind: 'unreachable' })
  page.loop().fail()
  await page.settle()
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
  expect(page.loop().from).toBe(position(1))
})

test.each(['missing', 'damaged'] as const)('stops trying when the session is %s, and says so', async (kind) => {
  const page = openStream()
  await page.settle()
  page.answers({ kind })
  page.loop().fail()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(page.seen.at(-1)).toEqual({ state: 'lost', why: kind })
  expect(page.loops).toHaveLength(1)
})

test.each([
  ['a gap', 'gap', { from: position(1), to: position(9) }, position(9)],
  ['an event of another epoch', 'stream_start', start, 'zzzzzzzz-1'],
  ['an event that cannot be read', 'message', { text: 3 }, position(1)],
])('takes a new snapshot after %s', async (_, type, data, id) => {
  const page = openStream()
  await page.settle()
  const old = page.loop()
  old.deliver({ type, data, id })
  await page.settle()
  expect(old.signal.aborted).toBe(true)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(page.snapshots()).toBe(2)
  expect(page.loops).toHaveLength(2)
})

test('tries again at once when asked to, unless it is live', async () => {
  const page = openStream()
  await page.settle()
  page.loop().deliver({ type: 'stream_start', data: start, id: position(1) })
  await page.settle()
  page.say({ state: 'live' })
  page.stream.reconnect()
  expect(page.loops).toHaveLength(1)
  page.say({ state: 'reconnecting' })
  page.stream.reconnect()
  expect(page.loops[0]?.signal.aborted).toBe(true)
  expect([page.loop().from, page.loops.length, page.snapshots()]).toEqual([position(1), 2, 1])
})

test('rests, and reads the snapshot when it is woken', async () => {
  const page = openStream()
  await page.settle()
  page.stream.rest()
  expect([page.loop().signal.aborted, page.seen.at(-1)]).toEqual([true, { state: 'idle' }])
  page.say({ state: 'live' })
  expect(page.seen.at(-1)).toEqual({ state: 'idle' })
  page.stream.reconnect()
  await page.settle()
  expect([page.loops.length, page.snapshots()]).toEqual([2, 2])
})

test('two wishes to reconnect while a snapshot is on its way make one loop', async () => {
  const page = openStream()
  page.stream.reconnect()
  page.stream.hurry()
  page.stream.reconnect()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(page.loops).toHaveLength(1)
  expect(page.snapshots()).toBe(3)
  page.stream.close()
  expect(page.loop().signal.aborted).toBe(true)
})

test('events that are refused after every snapshot are asked for ever more rarely', async () => {
  const page = openStream()
  await page.settle()
  for (let minute = 0; minute < 60; minute++) {
    page.loop().fail()
    await vi.advanceTimersByTimeAsync(1_000)
  }
  // 0.5, 1, 2, 4, 8 and then every 15 s, each with the second in which the test lets it fail.
  expect(page.snapshots()).toBeLessThan(9)
})

test('a wait ends when the network is back; a connection that is being read is left to the client', async () => {
  const page = openStream()
  await page.settle()
  page.say({ state: 'reconnecting' })
  page.stream.hurry()
  expect(page.loops).toHaveLength(1)
  page.loop().fail()
  await page.settle()
  page.stream.hurry()
  await page.settle()
  expect([page.loops.length, page.snapshots()]).toEqual([2, 2])
})

test('does nothing any more once it is closed', async () => {
  const page = openStream()
  page.stream.close()
  await vi.advanceTimersByTimeAsync(60_000)
  page.stream.reconnect()
  page.stream.hurry()
  expect(page.loops).toHaveLength(0)
  expect(page.state()).toBeUndefined()
})
