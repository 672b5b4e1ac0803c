/**
 * What an earlier process left unfinished, ended: its runs died with it, and without an end in the log their
 * readers would wait for ever. A log is looked at once, when it is first asked for; nothing is searched at start.
 */
import type { LaneEnd, SessionEvents } from '@millrace/protocol'
import type { Engine, LogEvent, NewEvent } from '../log/log.ts'
import { runEnd } from './run-end.ts'
import { estimateTokens } from './tokens.ts'
import { sessionEvent } from './writer.ts'

/** Logs that need not be looked at again; beyond it the one asked for longest ago is. */
const knownMax = 10_000
const page = { eventsMax: 2048, bytesMax: 256 * 1024 }

export interface RecoveryOptions {
  readonly engine: Engine
  /** Runs of this process are alive, or have ended by themselves. */
  readonly isOurs: (run: string) => boolean
  readonly onError: (error: unknown) => void
}

/** The same engine, whose `inspect`, the door to every session, is answered when the log has no dead runs. */
export function withRecovery({ engine, isOurs, onError }: RecoveryOptions): Engine {
  if (engine.isDurable !== true) return engine
  const known = new Map<string, Promise<void>>()

  return {
    isDurable: true,
    append: (...request) => engine.append(...request),
    read: (...request) => engine.read(...request),
    watch: (...request) => engine.watch(...request),
    delete: (log) => engine.delete(log),
    close: () => engine.close(),
    async inspect(log) {
      await (known.get(log) ?? look(log))
      return engine.inspect(log)
    },
  }

  /** Never rejects: who asks for the log is answered either way. */
  function look(log: string): Promise<void> {
    const looking = recover(engine, log, isOurs).catch((error: unknown) => {
      known.delete(log)
      onError(error)
    })
    known.set(log, looking)
    if (known.size > knownMax) known.delete(known.keys().next().value as string)
    return looking
  }
}

/** A run as far as its end needs to know it. */
interface Unfinished {
  readonly query: string
  readonly startedAt: number
  readonly lanes: Map<string, { readonly model: string; tokens: number; firstAt: number | undefined; end: LaneEnd | undefined }>
  lastAt: number
}

async function recover(engine: Engine, log: string, isOurs: (run: string) => boolean): Promise<void> {
  const state = await engine.inspect(log)
  if (state === undefined || state.head.offset === state.start.offset) return
  const { epoch } = state.head
  const runs = new Map<string, Unfinished>()
  for (let position = state.start; ; ) {
    const read = await engine.read(log, position, page)
    for (const event of read.events) note(runs, event)
    position = read.position
    if (position.offset === read.head.offset) break
    await new Promise(setImmediate)
  }
  for (const [run, unfinished] of runs) {
    // Twice over the same log, by two that ask at once, it is still one end.
    if (!isOurs(run)) await engine.append(log, endOf(run, unfinished), { epoch, key: `end ${run}` })
  }
}

function note(runs: Map<string, Unfinished>, { type, data, time }: LogEvent): void {
  if (type === 'stream_start') {
    const { run, query, lanes } = data as unknown as SessionEvents['stream_start']
    const each = lanes.map(({ lane, model }) => [lane, { model, tokens: 0, firstAt: undefined, end: undefined }] as const)
    runs.set(run, { query, startedAt: time, lastAt: time, lanes: new Map(each) })
    return
  }
  const { run: id, lane: name } = data as { run?: string; lane?: string }
  const run = id === undefined ? undefined : runs.get(id)
  if (run === undefined) return
  if (type === 'stream_end') return void runs.delete(id as string)
  run.lastAt = time
  const lane = name === undefined ? undefined : run.lanes.get(name)
  if (lane === undefined) return
  if (type === 'lane_end') {
    const { run: _run, lane: _lane, ...end } = data as unknown as SessionEvents['lane_end']
    lane.end = end
  } else {
    lane.tokens += 1
    lane.firstAt ??= time
  }
}

function endOf(run: string, { query, startedAt, lastAt, lanes }: Unfinished): NewEvent[] {
  const inputTokens = estimateTokens([query])
  const events: NewEvent[] = []
  const ends = new Map<string, LaneEnd>()
  for (const [lane, { model, tokens, firstAt, end }] of lanes) {
    const usage = { inputTokens, outputTokens: tokens, totalTokens: inputTokens + tokens, estimated: true } as const
    const timings = { firstTokenMs: firstAt === undefined ? null : firstAt - startedAt, durationMs: lastAt - startedAt }
    ends.set(lane, end ?? { model, status: 'interrupted', usage, timings })
    if (end === undefined && lanes.size > 1)
      events.push(sessionEvent('lane_end', { run, lane, model, status: 'interrupted', usage, timings }))
  }
  const { error: _error, ...outcome } = runEnd(ends)
  return [...events, sessionEvent('stream_end', { run, ...outcome, status: 'interrupted' })]
}
