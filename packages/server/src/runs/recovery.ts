/**
 * What another process left unfinished, ended: its runs died with it, and without an end in the log their readers
 * would wait for ever. A log is looked at when it is first asked for; where servers share it, on from there whenever it
 * is asked for, because another may have begun a run in it since, and again when one is gone whose runs were seen in
 * it. Nothing is searched at start, and reading writes nothing: what is read behind the last look is noted, so that the
 * nodes of runs which go on there are watched.
 */
import { idPattern, type LaneEnd, type Position, type SessionEvents } from '@millrace/protocol'
import { decorate } from '../log/decorate.ts'
import type { Engine, LogEvent, NewEvent, Page } from '../log/log.ts'
import { createQuarantine, isDamaged, type Quarantine } from '../log/quarantine.ts'
import type { Liveness, Recorded } from './cluster.ts'
import { runEnd } from './run-end.ts'
import { estimateTokens } from './tokens.ts'
import { sessionEvent } from './writer.ts'

/** Logs of which is known what was seen in them; beyond it the one asked for longest ago is looked at from its start. */
const checkpointsMax = 10_000
const page = { eventsMax: 2048, bytesMax: 256 * 1024 }

export interface RecoveryOptions {
  readonly engine: Engine
  /** Runs of this process are alive, or have ended by themselves. */
  readonly isOurs: (run: string, log: string) => boolean
  /** What is recorded of a run beside its log. */
  readonly readRecorded: (run: string) => Promise<Recorded | undefined>
  /** Where servers share the engine: their runs are alive as long as they are. */
  readonly liveness?: Liveness | undefined
  readonly onError: (error: unknown) => void
}

export interface Recovery {
  /**
   * The same engine, whose `inspect`, the door to every session, is answered when the log has no dead runs, and refused
   * while it is known to be damaged.
   */
  readonly engine: Engine
  /** Ends what is dead in a log. Rejects with the engine's refusal. */
  recover(log: string): Promise<void>
}

/** How far a log was looked at, and what had not ended there. */
interface ScanCheckpoint {
  readonly position: Position
  readonly runs: Map<string, Unfinished>
}

/** A look under way, and the one that all wait for who came since: it sees what was there when they came. */
interface Scan {
  readonly now: Promise<void>
  next?: Promise<void>
}

export function createRecovery({ engine, isOurs, readRecorded, liveness, onError }: RecoveryOptions): Recovery {
  const checkpoints = new Map<string, ScanCheckpoint>()
  const scans = new Map<string, Scan>()
  const quarantine = createQuarantine(engine)
  const recoveringEngine = decorate(engine, {
    async read(...request) {
      const page = await quarantine.read(...request)
      const [log] = request
      // Only a session's log has runs in it, whatever the events of a channel are called.
      if (liveness !== undefined && idPattern.test(log)) learn(log, page, liveness)
      return page
    },
    async compact(log) {
      try {
        await engine.compact?.(log)
      } catch (error) {
        // It is offered once more to whoever looks at the log from its start.
        checkpoints.delete(log)
        throw error
      }
    },
    delete(log) {
      quarantine.forget(log)
      return engine.delete(log)
    },
    async inspect(log) {
      await quarantine.check(log)
      let refusal: unknown
      if (idPattern.test(log) && needsScan(log))
        await (scansOnce(log) ?? recover(log)).catch((error) => {
          refusal = error
        })
      if (isDamaged(refusal)) throw refusal
      // Who asks for it is answered either way; where it is refused, whoever asked is told.
      const state = await engine.inspect(log)
      if (refusal !== undefined) onError(refusal)
      return state
    },
  })
  return { engine: engine.isDurable || engine.isShared ? recoveringEngine : engine, recover }

  function needsScan(log: string): boolean {
    const known = checkpoints.get(log)
    if (liveness !== undefined || scans.has(log) || known === undefined) return true
    // A run that this process was about to start turned out to be another's, which is dead.
    return [...known.runs.keys()].some((run) => !isOurs(run, log))
  }

  /** What others have begun and ended behind the last look, as somebody here reads it. What is before it is known. */
  function learn(log: string, { events, position }: Page, liveness: Liveness): void {
    const known = checkpoints.get(log)
    const isSame = known?.position.epoch === position.epoch
    if (isSame && position.offset <= known.position.offset) return
    const [first] = events
    if (!isSame || first === undefined || first.offset > known.position.offset + 1) {
      // Between the two is what nobody has looked at, or a look is on its way through it.
      if (events.some(({ type }) => type === 'stream_start')) void recover(log).catch(() => {})
      return
    }
    const { runs } = known
    for (const event of events) {
      if (event.offset <= known.position.offset) continue
      if (event.type === 'stream_end') liveness.ended((event.data as { run: string }).run)
      note(runs, event)
    }
    for (const [run, { node }] of runs) if (isOthers(node, liveness)) liveness.onNodeDead(node, log, run)
    checkpoints.set(log, { position, runs })
  }

  /** Of a log that only this process writes to, any look is as good as another. */
  function scansOnce(log: string): Promise<void> | undefined {
    return liveness === undefined ? scans.get(log)?.now : undefined
  }

  function recover(log: string): Promise<void> {
    const scan = scans.get(log)
    if (scan !== undefined) {
      scan.next ??= scan.now.catch(() => {}).then(() => recover(log))
      return scan.next
    }
    const now = scanLog(log).finally(() => scans.delete(log))
    scans.set(log, { now })
    return now
  }

  async function scanLog(log: string): Promise<void> {
    const state = await engine.inspect(log)
    if (state === undefined) return void checkpoints.delete(log)
    const { start, head } = state
    const known = checkpoints.get(log)
    const isFirst = known?.position.epoch !== head.epoch
    const { position, runs }: ScanCheckpoint = known === undefined || isFirst ? { position: start, runs: new Map() } : known
    checkpoints.delete(log)
    const reached = await readOn(quarantine, log, { position, runs, to: head.offset })
    for (const [run, unfinished] of runs) {
      if (isOurs(run, log)) continue
      const node = unfinished.isCut ? await nodeOfCut(run, unfinished) : unfinished.node
      if (node === null) runs.delete(run)
      else if (liveness !== undefined && isOthers(node, liveness) && !(await liveness.isDead(node)))
        liveness.onNodeDead(node, log, run)
      else {
        // Twice over the same log, by two that ask at once, it is still one end.
        await engine.append(log, endOf(run, unfinished), { epoch: head.epoch, key: `end ${run}` })
        liveness?.ended(run)
        runs.delete(run)
        engine.compact?.(log).catch(onError)
      }
    }
    checkpoints.set(log, { position: reached, runs })
    if (checkpoints.size > checkpointsMax) checkpoints.delete(checkpoints.keys().next().value as string)
    // Whoever ended its last run may have died before it was put in less room.
    if (isFirst && runs.size === 0 && head.offset > start.offset) engine.compact?.(log).catch(onError)
  }

  /** Of a run whose start retention has taken, and perhaps its end: null where it has ended, or nobody can say. */
  async function nodeOfCut(run: string, { lanes }: Unfinished): Promise<string | undefined | null> {
    const recorded = await readRecorded(run)
    if (recorded === undefined) return liveness === undefined ? undefined : null
    if (recorded.end !== undefined) return null
    for (const { lane, model } of recorded.claim.lanes) lanes.set(lane, { ...(lanes.get(lane) ?? unsaid), model })
    return recorded.claim.node
  }
}

function isOthers(node: string | undefined, liveness: Liveness): node is string {
  return node !== undefined && node !== liveness.id
}

/** A run as far as its end needs to know it. */
interface Unfinished {
  /** Its start is gone by retention, and perhaps its end. */
  isCut: boolean
  readonly inputTokens: number
  readonly node: string | undefined
  readonly startedAt: number
  readonly lanes: Map<string, UnfinishedLane>
  lastAt: number
}

interface UnfinishedLane {
  readonly model: string
  tokens: number
  firstAt: number | undefined
  end: LaneEnd | undefined
}

const unsaid = { tokens: 0, firstAt: undefined, end: undefined }

/** Notes what has begun and ended up to an offset, and returns the position from where to go on. */
async function readOn(
  engine: Pick<Quarantine, 'read'>,
  log: string,
  { position: from, runs, to }: ScanCheckpoint & { readonly to: number },
): Promise<Position> {
  let position = from
  while (position.offset < to) {
    const read = await engine.read(log, position, page)
    // What retention has taken may have been an end.
    if (read.gap !== undefined) for (const run of runs.values()) run.isCut = true
    for (const event of read.events) note(runs, event)
    position = read.position
    await new Promise(setImmediate)
  }
  return position
}

function note(runs: Map<string, Unfinished>, { type, data, time }: LogEvent): void {
  if (type === 'stream_start') {
    const { run, query, lanes, node } = data as unknown as SessionEvents['stream_start']
    const each = lanes.map(({ lane, model }) => [lane, { ...unsaid, model }] as const)
    const inputTokens = estimateTokens([query])
    runs.set(run, { isCut: false, inputTokens, node, startedAt: time, lastAt: time, lanes: new Map(each) })
    return
  }
  const { run: id, lane: name } = data as { run?: string; lane?: string }
  if (id === undefined) return
  if (type === 'stream_end') return void runs.delete(id)
  const run = runs.get(id) ?? { isCut: true, inputTokens: 0, node: undefined, startedAt: time, lastAt: time, lanes: new Map() }
  runs.set(id, run)
  run.lastAt = time
  if (name === undefined) return
  // Of a lane whose start is gone nothing is left but its name.
  const lane = run.lanes.get(name) ?? (run.isCut ? { ...unsaid, model: name } : undefined)
  if (lane === undefined) return
  run.lanes.set(name, lane)
  if (type === 'lane_end') {
    const { run: _run, lane: _lane, ...end } = data as unknown as SessionEvents['lane_end']
    lane.end = end
  } else {
    lane.tokens += 1
    lane.firstAt ??= time
  }
}

function endOf(run: string, { inputTokens, startedAt, lastAt, lanes }: Unfinished): NewEvent[] {
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
