/**
 * A transcript and the next event of its log make the transcript after it: what the server does to
 * answer `GET /api/sessions/:id`, one event at a time. Pure. Whether an event is the next one was decided by the
 * reader; a hole in the log is no event and is not folded over.
 *
 * What did not change stays the same object, so that a component is rendered for its own run and no other.
 */
import type { SessionEvent } from '@millrace/protocol'
import type { Transcript } from '../session.ts'

/** One question and its answers. */
export type ChatRun = Transcript['runs'][number]

/** What one model answered. */
export type ChatLane = ChatRun['lanes'][number]

type LogEvent = SessionEvent & { readonly id: string }

/** `now`, in milliseconds since 1970, is when a run counts as started: events do not carry their time. */
export function foldTranscript(transcript: Transcript, event: LogEvent, now: number): Transcript {
  return { ...transcript, position: event.id, runs: foldRuns(transcript.runs, event, now) }
}

/** The session is gone, and with it whoever was writing: what has no end will never get one. */
export function interruptTranscript(transcript: Transcript): Transcript {
  const interrupt = <T extends { readonly status: ChatRun['status'] }>(part: T): T =>
    part.status === 'streaming' ? { ...part, status: 'interrupted' } : part
  return { ...transcript, runs: transcript.runs.map((run) => interrupt({ ...run, lanes: run.lanes.map(interrupt) })) }
}

function foldRuns(runs: Transcript['runs'], event: LogEvent, now: number): Transcript['runs'] {
  if (event.type === 'stream_start') {
    const { run, query, lanes } = event.data
    const silent = { status: 'streaming', text: '', reasoning: '', data: [] } as const
    return [...runs, { run, query, startedAt: now, status: 'streaming', lanes: lanes.map((lane) => ({ ...lane, ...silent })) }]
  }
  // From the end: what arrives is nearly always of the newest run.
  const index = runs.findLastIndex(({ run }) => run === event.data.run)
  const run = runs[index]
  // Where retention has cut its start away, half an answer without its question would mislead.
  return run === undefined ? runs : runs.with(index, foldRun(run, event))
}

function foldRun(run: ChatRun, { type, data }: Exclude<LogEvent, { type: 'stream_start' }>): ChatRun {
  switch (type) {
    case 'message':
      return foldLane(run, data.lane, ({ text }) => ({ text: text + data.text }))
    case 'reasoning':
      return foldLane(run, data.lane, ({ reasoning }) => ({ reasoning: reasoning + data.reasoning }))
    case 'data':
      return foldLane(run, data.lane, (lane) => ({ data: [...lane.data, { name: data.name, value: data.value }] }))
    case 'lane_end': {
      const { run: _, lane, ...end } = data
      return foldLane(run, lane, () => end)
    }
    case 'stream_end': {
      const { run: _, lanes, ...end } = data
      return { ...run, ...end, lanes: run.lanes.map((lane) => ({ ...lane, ...(lanes?.[lane.lane] ?? end) })) }
    }
    default:
      // Of a newer server.
      return run
  }
}

function foldLane(run: ChatRun, name: string, change: (lane: ChatLane) => Partial<ChatLane>): ChatRun {
  return { ...run, lanes: run.lanes.map((lane) => (lane.lane === name ? { ...lane, ...change(lane) } : lane)) }
}
