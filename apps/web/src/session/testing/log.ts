/**
 * A session's log for tests: events as a server would append them, the snapshot a server would
 * answer at any offset (made by a slow way that shares no code with the reducer), and merging as
 * PROTOCOL.md allows it on replay.
 */
import type { LaneEnd, SessionEvent } from '@millrace/protocol'
import { type DecodedEvent, readSnapshot } from '../decode.ts'

const epoch = 'k3f9a2xq'

export const position = (offset: number) => `${epoch}-${offset}`

export type LoggedEvent = Extract<DecodedEvent, { position: string }>

export function number(events: readonly SessionEvent[]): LoggedEvent[] {
  return events.map((event, index) => ({ ...event, position: position(index + 1) }))
}

export function end(status: LaneEnd['status'] = 'completed', outputTokens = 3) {
  return {
    status,
    finishReason: 'stop' as const,
    usage: { inputTokens: 1, outputTokens, totalTokens: 1 + outputTokens },
    timings: { firstTokenMs: 20, durationMs: 400 },
  }
}

/** The body of `GET /api/sessions/:id` when the log held exactly `events`. */
function snapshotBody(events: readonly SessionEvent[]): unknown {
  const runs = events
    .filter((event) => event.type === 'stream_start')
    .map((start) => {
      const ofRun = events
        .filter((event) => event.type !== 'file_data' && event.type !== 'upload')
        .filter((event) => event.data.run === start.data.run)
      const runEnd = ofRun.find((event) => event.type === 'stream_end')?.data
      const lanes = start.data.lanes.map(({ lane, model }) => {
        const laneEnd = ofRun.find((event) => event.type === 'lane_end' && event.data.lane === lane)?.data
        const own = laneEnd ?? runEnd?.lanes?.[lane] ?? runEnd ?? { status: 'streaming' }
        return {
          ...own,
          lane,
          model,
          text: ofRun.map((event) => (event.type === 'message' && event.data.lane === lane ? event.data.text : '')).join(''),
          reasoning: ofRun
            .map((event) => (event.type === 'reasoning' && event.data.lane === lane ? event.data.reasoning : ''))
            .join(''),
          data: ofRun.flatMap((event) =>
            event.type === 'data' && event.data.lane === lane ? [{ name: event.data.name, value: event.data.value }] : [],
          ),
          files: ofRun.flatMap((event) => {
            if (event.type !== 'file' || event.data.lane !== lane) return []
            const { run: _, lane: _lane, ...file } = event.data
            return [{ ...file, position: position(events.indexOf(event) + 1) }]
          }),
        }
      })
      return {
        ...(runEnd ?? { status: 'streaming' }),
        run: start.data.run,
        query: start.data.query,
        ...(start.data.continues !== undefined && { continues: start.data.continues }),
        startedAt: 0,
        lanes,
      }
    })
  return { id: 's', position: position(events.length), complete: true, runs }
}

export function snapshot(events: readonly SessionEvent[]) {
  const state = readSnapshot(snapshotBody(events))
  if (state === undefined) throw new Error('the snapshot that the test made was refused')
  return state
}

/** Merges consecutive deltas of the same lane and type wherever `mayMerge` says so. */
export function mergeDeltas(events: readonly LoggedEvent[], mayMerge: (index: number) => boolean): LoggedEvent[] {
  const merged: LoggedEvent[] = []
  for (const [index, event] of events.entries()) {
    const last = merged.at(-1)
    const both = last !== undefined && mayMerge(index) ? mergePair(last, event) : undefined
    if (both === undefined) merged.push(event)
    else merged[merged.length - 1] = both
  }
  return merged
}

function mergePair(a: LoggedEvent, b: LoggedEvent): LoggedEvent | undefined {
  const { position } = b
  if (a.type === 'message' && b.type === 'message' && a.data.run === b.data.run && a.data.lane === b.data.lane)
    return { type: 'message', position, data: { ...a.data, text: a.data.text + b.data.text } }
  if (a.type === 'reasoning' && b.type === 'reasoning' && a.data.run === b.data.run && a.data.lane === b.data.lane)
    return { type: 'reasoning', position, data: { ...a.data, reasoning: a.data.reasoning + b.data.reasoning } }
  return undefined
}
