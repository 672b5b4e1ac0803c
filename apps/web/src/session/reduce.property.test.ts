/** However the log is cut, replayed, merged or restarted from a snapshot, the reader gets the same state. */
import type { SessionEvent } from '@millrace/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { reduceSession } from './reduce.ts'
import type { SessionState } from './state.ts'
import { end, mergeDeltas, number, snapshot } from './testing/log.ts'

/** A step of a run; which run and which lane is chosen by the numbers. */
const step = fc.record({
  kind: fc.constantFrom('start', 'message', 'message', 'message', 'reasoning', 'data', 'file', 'lane_end', 'stream_end'),
  run: fc.nat(2),
  lane: fc.nat(1),
  text: fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom('1', ' ', '你', '好', '👋', '\n', '*') }),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** Turns any steps into a log that keeps the rules of PROTOCOL.md#events: overlapping runs, one start, one end. */
function writeLog(steps: readonly Step[]): SessionEvent[] {
  const runs = new Map<number, { name: string; open: Set<string> }>()
  /** The last run of each number that has ended, with the lanes that are left to go on with. */
  const left = new Map<number, { name: string; names: readonly string[] }>()
  const events: SessionEvent[] = []
  for (const [index, { kind, run: number, lane: laneNumber, text }] of steps.entries()) {
    const run = runs.get(number)
    const lane = `model:${laneNumber}`
    if (run === undefined) {
      // One run in three has a single lane, and thus no `lane_end`.
      const before = kind === 'message' ? left.get(number) : undefined
      const names = before?.names ?? (number === 0 ? ['model:0'] : ['model:0', 'model:1'])
      left.delete(number)
      const name = `run-${index}`
      runs.set(number, { name, open: new Set(names) })
      events.push({
        type: 'stream_start',
        data: {
          run: name,
          session: 's',
          query: 'the same for all that go on with it',
          lanes: names.map((one) => ({ lane: one, model: one })),
          ...(before && { continues: before.name }),
        },
      })
    } else if (kind === 'stream_end' || run.open.size === 0) {
      runs.delete(number)
      if (run.open.size > 0) left.set(number, { name: run.name, names: [...run.open] })
      const lanes = Object.fromEntries([...run.open].map((one) => [one, { ...end('stopped'), model: one }]))
      events.push({
        type: 'stream_end',
        data: { run: run.name, ...end('stopped', 7), ...(number === 0 ? {} : { lanes }) },
      })
    } else if (!run.open.has(lane)) continue
    else if (kind === 'lane_end' && number !== 0) {
      run.open.delete(lane)
      events.push({ type: 'lane_end', data: { run: run.name, lane, model: lane, ...end('completed', index) } })
    } else if (kind === 'reasoning') events.push({ type: 'reasoning', data: { run: run.name, lane, reasoning: text } })
    else if (kind === 'data') events.push({ type: 'data', data: { run: run.name, lane, name: 'note', value: text } })
    else if (kind === 'file') {
      events.push({ type: 'file', data: { run: run.name, lane, mediaType: 'text/plain', name: text, size: 1 } })
      events.push({ type: 'file_data', data: Uint8Array.of(text.length) })
    } else events.push({ type: 'message', data: { run: run.name, lane, text } })
  }
  return events
}

/** One connection: how far its reader gets, what is repeated before it goes on, and where deltas are merged. */
const connection = fc.record({
  length: fc.nat(12),
  repeated: fc.nat(6),
  merges: fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }),
  fromSnapshot: fc.boolean(),
})

test('any cut, repetition, merge and new snapshot gives the state of one unbroken reading', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.array(connection, { maxLength: 8 }), (steps, connections) => {
      const events = writeLog(steps)
      const log = number(events)
      let state: SessionState = snapshot([])
      let offset = 0
      for (const { length, repeated, merges, fromSnapshot } of connections) {
        if (fromSnapshot) state = snapshot(events.slice(0, offset))
        // What was handled already comes again, as after a reconnect whose position was a little old.
        state = log.slice(Math.max(0, offset - repeated), offset).reduce(reduceSession, state)
        const until = Math.min(log.length, offset + length)
        state = mergeDeltas(log.slice(offset, until), (index) => merges[index % merges.length] === true).reduce(
          reduceSession,
          state,
        )
        offset = until
      }
      state = mergeDeltas(log.slice(offset), () => true).reduce(reduceSession, state)
      const { runs, position } = snapshot(events)
      expect(withoutBytes(state.runs)).toEqual(runs)
      expect(state.position).toBe(position)
      expect(state.stale).toBe(false)
    }),
    { numRuns: 500 },
  )
})

/** A snapshot has none: a reader with the bytes of a file has its own. */
function withoutBytes(runs: SessionState['runs']): SessionState['runs'] {
  return runs.map((run) => ({
    ...run,
    lanes: run.lanes.map((lane) => ({
      ...lane,
      files: lane.files.map(({ bytes, ...file }) => {
        expect([undefined, file.name?.length]).toContain(bytes?.[0])
        return file
      }),
    })),
  }))
}
