/**
 * A transcript and the next event of its log make the transcript after it: what the server does to
 * answer `GET /api/sessions/:id`, one event at a time. Pure. Whether an event is the next one was decided by the
 * reader; a hole in the log is no event and is not folded over.
 *
 * What did not change stays the same object, so that a component is rendered for its own run and no other.
 */
import {
  addCosts,
  addToParts,
  askedOf,
  type Cost,
  decideInRun,
  joinParts,
  type LanePart,
  moveQueued,
  type QueuedQuestion,
  type SessionEvent,
  type Timings,
  type Usage,
} from '@millrace/protocol'
import type { Transcript, TranscriptFile, TranscriptLane, TranscriptRun } from '../session.ts'
import type { ChatTypes, PartOf } from './typed-parts.ts'

/**
 * One question and its answers: a run, and the runs that continue it, as one. Its `usage` and `timings`, and those of its
 * lanes, are of all these runs together; while it is `streaming` again, of those before.
 */
export type ChatRun<Types extends ChatTypes = ChatTypes> = Omit<TranscriptRun, 'lanes'> & {
  readonly lanes: readonly ChatLane<Types>[]
  /** The last of the runs that continue it. */
  readonly continuedBy?: string
}

/** A transcript in which each answer is one run. */
export interface ChatTranscript extends Transcript {
  readonly runs: readonly ChatRun[]
}

/** What one model answered. */
export type ChatLane<Types extends ChatTypes = ChatTypes> = Omit<TranscriptLane, 'files' | 'parts'> & {
  readonly files: readonly ChatFile[]
  readonly parts: readonly PartOf<Types>[]
}

export type ChatFile = TranscriptFile & {
  /** Where they came since the transcript was read; else they can be read from `position`. */
  readonly bytes?: Uint8Array<ArrayBuffer>
}

type LogEvent = SessionEvent & { readonly id: string }

/** `now`, in milliseconds since 1970, is when a run counts as started: events do not carry their time. */
export function foldTranscript(transcript: ChatTranscript, event: LogEvent, now: number): ChatTranscript {
  if (isQueueEvent(event)) return { ...transcript, position: event.id, queue: foldQueue(transcript.queue, event) }
  const runs = event.type === 'file_data' ? addBytes(transcript, event.data) : foldRuns(transcript.runs, event, now)
  if (event.type !== 'stream_start') return { ...transcript, position: event.id, runs }
  return { ...transcript, position: event.id, runs, queue: without(transcript.queue, event.data.run) }
}

type QueueEvent = Extract<LogEvent, { type: `queue_${string}` }>

function isQueueEvent(event: LogEvent): event is QueueEvent {
  const { type } = event
  return type === 'queue_added' || type === 'queue_changed' || type === 'queue_moved' || type === 'queue_removed'
}

function foldQueue(queue: ChatTranscript['queue'] = [], { type, data }: QueueEvent): readonly QueuedQuestion[] {
  if (type === 'queue_removed') return without(queue, data.entry)
  if (type === 'queue_moved') return moveQueued(queue, data)
  const index = queue.findIndex(({ entry }) => entry === data.entry)
  return index === -1 ? [...queue, data] : queue.with(index, data)
}

function without(queue: ChatTranscript['queue'] = [], entry: string): readonly QueuedQuestion[] {
  return queue.some((one) => one.entry === entry) ? queue.filter((one) => one.entry !== entry) : queue
}

/** What a server answers has the runs one by one. */
export function joinTranscript(transcript: Transcript): ChatTranscript {
  return { ...transcript, runs: transcript.runs.reduce(addRun, []) }
}

/** The session was deleted or lost: a run without an end will never get one. */
export function interruptTranscript(transcript: ChatTranscript): ChatTranscript {
  const interrupt = <T extends { readonly status: ChatRun['status'] }>(part: T): T =>
    part.status === 'streaming' ? { ...part, status: 'interrupted' } : part
  return { ...transcript, runs: transcript.runs.map((run) => interrupt({ ...run, lanes: run.lanes.map(interrupt) })) }
}

/** The id of the run to stop or to continue. */
export function lastRun({ run, continuedBy }: ChatRun): string {
  return continuedBy ?? run
}

/** Behind the others, or as more of the answer that it continues. */
function addRun(runs: readonly ChatRun[], next: ChatRun): readonly ChatRun[] {
  const index = next.continues === undefined ? -1 : runs.findLastIndex((run) => lastRun(run) === next.continues)
  const before = runs[index]
  if (before === undefined) return [...runs, next]
  const { run, continues: _, ...end } = next
  const lanes = before.lanes.map((lane) => {
    const more = next.lanes.find((one) => one.lane === lane.lane)
    if (more === undefined) return lane
    const { text, reasoning, data, files, parts } = lane
    return {
      ...more,
      ...addMeasures(lane, more),
      text: text + more.text,
      reasoning: reasoning + more.reasoning,
      data: [...data, ...more.data],
      files: [...files, ...more.files],
      parts: joinParts(parts, more.parts),
    }
  })
  const { continues, query, startedAt } = before
  return runs.with(index, {
    ...end,
    ...addMeasures(before, end),
    ...(continues && { continues }),
    run: before.run,
    continuedBy: run,
    query,
    ...askedOf(before),
    startedAt,
    lanes,
  })
}

interface Measures {
  readonly usage?: Usage
  readonly timings?: Timings
  readonly cost?: Cost
}

/** What was counted and waited for in one run and in another that continues it. */
function addMeasures(a: Measures, b: Measures): Measures {
  const usage = a.usage && b.usage ? addUsage(a.usage, b.usage) : (b.usage ?? a.usage)
  const timings = a.timings && b.timings ? addTimings(a.timings, b.timings) : (b.timings ?? a.timings)
  const cost = addCosts(a.cost, b.cost)
  return { ...(usage && { usage }), ...(timings && { timings }), ...(cost && { cost }) }
}

function addTimings(a: Timings, b: Timings): Timings {
  const reasoningMs = (a.reasoningMs ?? 0) + (b.reasoningMs ?? 0)
  return {
    firstTokenMs: a.firstTokenMs ?? b.firstTokenMs,
    durationMs: a.durationMs + b.durationMs,
    ...(reasoningMs > 0 && { reasoningMs }),
  }
}

function addUsage(a: Usage, b: Usage): Usage {
  const reasoningTokens = (a.reasoningTokens ?? 0) + (b.reasoningTokens ?? 0)
  const cachedInputTokens = (a.cachedInputTokens ?? 0) + (b.cachedInputTokens ?? 0)
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    totalTokens: a.totalTokens + b.totalTokens,
    ...(reasoningTokens > 0 && { reasoningTokens }),
    ...(cachedInputTokens > 0 && { cachedInputTokens }),
    ...((a.estimated || b.estimated) && { estimated: true }),
  }
}

/** Of the file that the event before announced, which is where the transcript ends. */
function addBytes({ runs, position }: ChatTranscript, bytes: Uint8Array<ArrayBuffer>): readonly ChatRun[] {
  const isNext = ({ files }: ChatLane) => files.at(-1)?.position === position
  const index = runs.findLastIndex(({ lanes }) => lanes.some(isNext))
  const run = runs[index]
  if (run === undefined) return runs
  const add = (lane: ChatLane) =>
    isNext(lane) ? { ...lane, files: lane.files.map((file) => (file.position === position ? { ...file, bytes } : file)) } : lane
  return runs.with(index, { ...run, lanes: run.lanes.map(add) })
}

function foldRuns(
  runs: readonly ChatRun[],
  event: Exclude<LogEvent, QueueEvent | { type: 'file_data' }>,
  now: number,
): readonly ChatRun[] {
  if (event.type === 'stream_start') {
    const { session: _, lanes, ...start } = event.data
    const newest = runs.findLast(({ continues }) => continues === undefined)?.run ?? null
    const silent = { status: 'streaming', text: '', reasoning: '', data: [], files: [], parts: [] } as const
    return addRun(runs, {
      ...(start.continues === undefined && { parent: newest }),
      ...start,
      startedAt: now,
      status: 'streaming',
      lanes: lanes.map((lane) => ({ ...lane, ...silent })),
    })
  }
  if (event.type === 'upload') return runs
  // From the end: what arrives is nearly always of the newest run.
  const index = runs.findLastIndex((run) => lastRun(run) === event.data.run)
  const run = runs[index]
  // Where retention has cut its start away, half an answer without its question would mislead.
  return run === undefined ? runs : runs.with(index, foldRun(run, event, event.id))
}

type RunEvent = Exclude<LogEvent, QueueEvent | { type: 'stream_start' | 'upload' | 'file_data' }>

function foldRun(run: ChatRun, event: RunEvent, id: string): ChatRun {
  const { type, data } = event
  switch (type) {
    case 'message':
      return foldLane(run, event, ({ text }) => ({ text: text + data.text }))
    case 'reasoning':
      return foldLane(run, event, ({ reasoning }) => ({ reasoning: reasoning + data.reasoning }))
    case 'data':
      return foldLane(run, event, (lane) => ({ data: [...lane.data, { name: data.name, value: data.value }] }))
    case 'file': {
      const { run: _, lane: __, ...file } = data
      return foldLane(run, event, ({ files }) => ({ files: [...files, { ...file, position: id }] }))
    }
    case 'lane_end': {
      const { run: _, lane: __, ...end } = data
      return foldLane(run, event, (before) => ({ ...end, ...addMeasures(before, end) }))
    }
    case 'stream_end': {
      const { run: _, lanes, ...end } = data
      // A lane that has ended keeps its end: what continues an answer has only those lanes that had not completed.
      const endLane = (lane: ChatLane): ChatLane => {
        if (lane.status !== 'streaming') return lane
        const own = lanes?.[lane.lane] ?? end
        return { ...lane, ...own, ...addMeasures(lane, own) }
      }
      return { ...run, ...end, ...addMeasures(run, end), lanes: run.lanes.map(endLane) }
    }
    case 'tool_decision':
      return { ...run, ...decideInRun(run, data) }
    default:
      // Of tools, sources and steps; an event of a newer server adds nothing.
      return 'lane' in data ? foldLane(run, event, () => ({})) : run
  }
}

type LaneEvent = Extract<RunEvent, { data: { lane: string } }>

function foldLane(run: ChatRun, event: LaneEvent, change: (lane: ChatLane) => Partial<ChatLane>): ChatRun {
  const { lane: name } = event.data
  const changed = (lane: ChatLane) => ({ ...lane, ...change(lane), parts: fold(lane.parts, event) })
  return { ...run, lanes: run.lanes.map((lane) => (lane.lane === name ? changed(lane) : lane)) }
}

function fold(before: readonly LanePart[], event: RunEvent & LogEvent): readonly LanePart[] {
  const parts = [...before]
  addToParts(parts, event, event.id)
  return parts
}
