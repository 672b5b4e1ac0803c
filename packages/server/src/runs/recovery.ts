/**
 * What another process left unfinished, ended: its runs died with it, and without an end in the log their readers
 * would wait for ever. A log is looked at once, when it is first asked for, and where servers share it, again when one
 * is gone whose runs were seen in it; nothing is searched at start.
 */
import { idPattern, type LaneEnd, type SessionEvents } from '@millrace/protocol'
import type { Engine, LogEvent, LogState, NewEvent } from '../log/log.ts'
import type { Nodes } from './nodes.ts'
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
  /** Where servers share the engine: their runs are alive as long as they are. */
  readonly nodes?: Nodes | undefined
  readonly onError: (error: unknown) => void
}

export interface Recovery {
  /** The same engine, whose `inspect`, the door to every session, is answered when the log has no dead runs. */
  readonly engine: Engine
  /** Looks at a log once more. Never rejects. */
  look(log: string): Promise<void>
}

export function createRecovery({ engine, isOurs, nodes, onError }: RecoveryOptions): Recovery {
  const known = new Map<string, Promise<void>>()
  const watchful: Engine = {
    ...(engine.isDurable && { isDurable: true }),
    ...(engine.isShared && { isShared: true }),
    append: (...request) => engine.append(...request),
    async read(...request) {
      const page = await engine.read(...request)
      if (nodes !== undefined)
        for (const event of page.events) if (event.type === 'stream_start') follow(request[0], event, nodes)
      return page
    },
    watch: (...request) => engine.watch(...request),
    compact: async (log) => await engine.compact?.(log),
    delete: (log) => engine.delete(log),
    close: () => engine.close(),
    async inspect(log) {
      // Only a session's log has runs in it.
      if (idPattern.test(log)) await (known.get(log) ?? look(log))
      return engine.inspect(log)
    },
  }
  return { engine: engine.isDurable || engine.isShared ? watchful : engine, look }

  /** Never rejects: who asks for the log is answered either way. */
  function look(log: string): Promise<void> {
    const looking = recover(log).catch((error: unknown) => {
      known.delete(log)
      onError(error)
    })
    known.set(log, looking)
    if (known.size > knownMax) known.delete(known.keys().next().value as string)
    return looking
  }

  async function recover(log: string): Promise<void> {
    const state = await engine.inspect(log)
    if (state === undefined || state.head.offset === state.start.offset) return
    const { epoch } = state.head
    for (const [run, unfinished] of await readUnfinished(engine, log, state)) {
      if (isOurs(run)) continue
      const { node } = unfinished
      if (nodes !== undefined && node !== undefined && !(await nodes.isGone(node))) nodes.onceGone(node, log)
      // Twice over the same log, by two that ask at once, it is still one end.
      else {
        await engine.append(log, endOf(run, unfinished), { epoch, key: `end ${run}` })
        engine.compact?.(log).catch(onError)
      }
    }
  }
}

/** A run of another node begins before the eyes of somebody here. */
function follow(log: string, { data }: LogEvent, nodes: Nodes): void {
  const { node } = data as { node?: string }
  if (node !== undefined && node !== nodes.id) nodes.onceGone(node, log)
}

/** A run as far as its end needs to know it. */
interface Unfinished {
  readonly query: string
  readonly node: string | undefined
  readonly startedAt: number
  readonly lanes: Map<string, { readonly model: string; tokens: number; firstAt: number | undefined; end: LaneEnd | undefined }>
  lastAt: number
}

async function readUnfinished(engine: Engine, log: string, { start, head }: LogState): Promise<Map<string, Unfinished>> {
  const runs = new Map<string, Unfinished>()
  for (let position = start; position.offset < head.offset; ) {
    const read = await engine.read(log, position, page)
    for (const event of read.events) note(runs, event)
    position = read.position
    await new Promise(setImmediate)
  }
  return runs
}

function note(runs: Map<string, Unfinished>, { type, data, time }: LogEvent): void {
  if (type === 'stream_start') {
    const { run, query, lanes, node } = data as unknown as SessionEvents['stream_start']
    const each = lanes.map(({ lane, model }) => [lane, { model, tokens: 0, firstAt: undefined, end: undefined }] as const)
    runs.set(run, { query, node, startedAt: time, lastAt: time, lanes: new Map(each) })
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
