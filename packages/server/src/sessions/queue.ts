/**
 * Questions of a session that wait until nothing is being answered in it: PROTOCOL.md#the-queue. The log of the session has
 * them; who asked each is in the session's record, which no reader gets. Every server that sees a session come to rest starts
 * its next question, and the run's id, which is that of the question, lets one of them do it.
 */
import {
  askedOf,
  formatPosition,
  idPattern,
  MillraceError,
  parsePosition,
  type QueuedQuestion,
  type QueueMove,
} from '@millrace/protocol'
import type { Caller } from '../access/caller.ts'
import type { Engine, NewEvent } from '../log/log.ts'
import type { AdmitRun, RunPlace } from '../runs/admission.ts'
import { coalesce } from '../runs/coalesce.ts'
import { toError } from '../runs/retry-until.ts'
import type { Runs } from '../runs/runs.ts'
import { sessionEvent } from '../runs/session-event.ts'
import { stopRun } from '../runs/stop.ts'
import type { ChatRequest } from './chat-requests.ts'
import type { Chats } from './chats.ts'
import { joinRuns } from './conversation.ts'
import { requireLog } from './positions.ts'
import { type ChangeContext, changeRecord } from './record-changes.ts'
import type { QueuedAsker } from './records.ts'
import type { QueuedRecord, Transcript } from './transcript.ts'
import type { Transcripts } from './transcripts.ts'
import type { Withdraw } from './withdrawals.ts'

export interface QueueRequest extends Omit<ChatRequest, 'owner' | 'session'> {
  readonly session: string
  /** Stops the runs in progress, and asks before everything else that waits. */
  readonly steer?: boolean | undefined
  /** In place of `principal`, with its own limits. */
  readonly asker?: QueuedAsker | undefined
}

/** What is absent stays as it was. */
export interface QueueChange extends Omit<QueueRequest, 'id' | 'session'> {
  /** Called with the models that stay; throws to deny them. */
  readonly requireModels?: ((names: readonly string[]) => void) | undefined
}

export interface MoveRequest extends QueueMove {
  /** The same id is the same move, which does not undo a later one. */
  readonly id?: string | undefined
}

export interface Queued {
  readonly session: string
  /** Of the question, and of its run. */
  readonly entry: string
  /** After the event that recorded the change. */
  readonly position: string
}

export interface Queue {
  /** Rejects with `queue_full`, and as `Chats.ask` does. The same id again is the same question. */
  add(request: QueueRequest): Promise<Queued>
  /** Who changes a question, is charged for its run. Rejects with `queue_entry_not_found` once it was started or removed. */
  change(session: string, entry: string, change: QueueChange): Promise<Queued>
  /** Of two moves of one question the later counts. Rejects with `queue_entry_not_found`, also where `before` does not wait. */
  move(session: string, move: MoveRequest): Promise<Queued>
  /** Rejects with `queue_entry_not_found` once it was started or removed. */
  remove(session: string, entry: string): Promise<Queued>
  /** Starts the next question where nothing is in progress. Never rejects. */
  advance(session: string): Promise<void>
  /** The same when a run of this server has ended; a session without a queue is not read for it. */
  runEnded(session: string): Promise<void>
}

export interface QueueLimits {
  /** Takes the place of a run within the limits of who asked. */
  readonly admitRun: (asker: Pick<Caller, 'principal' | 'address'>) => Promise<RunPlace | undefined>
  readonly settings: { readonly queuedPerSession: number }
}

export interface QueueOptions extends ChangeContext {
  readonly engine: Engine
  readonly runs: Pick<Runs, 'find'>
  readonly chats: Pick<Chats, 'ask' | 'check'>
  readonly transcripts: Pick<Transcripts, 'read'>
  readonly limits: QueueLimits
  /** Stops a run that waits. */
  readonly withdraw: Withdraw
  readonly newId: () => string
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

/** An asker that is recorded so long before its question is not that of one which is about to be recorded. */
const recordMs = 60_000
/** Tries to start a question in a session in which others write. */
const attemptsMax = 20
const retrySeconds = { least: 1, most: 60 }

export function createQueue(options: QueueOptions): Queue {
  return new SessionQueue(options)
}

class SessionQueue implements Queue {
  readonly #options: QueueOptions
  readonly #advanceOnce: (session: string) => Promise<void>
  /** Sessions whose next question could not be started yet. */
  readonly #retries = new Map<string, ReturnType<typeof setTimeout>>()

  constructor(options: QueueOptions) {
    this.#options = options
    this.#advanceOnce = coalesce((session) => this.#advance(session))
    options.signal.addEventListener('abort', () => {
      for (const timer of this.#retries.values()) clearTimeout(timer)
    })
  }

  async add({
    session,
    id: entry = this.#options.newId(),
    steer,
    principal,
    asker = askerOf(principal),
    ...request
  }: QueueRequest) {
    if (!idPattern.test(entry) || !idPattern.test(session)) throw new MillraceError('invalid_id')
    const { head } = await requireLog(this.#options.openLog, session)
    const question = await this.#options.chats.check({ ...request, session })
    const data = { entry, ...question, ...optional(request.models, steer) }
    const known = await this.#read(session)
    if (!known.queue.some((one) => one.entry === entry)) await this.#recordAsker(session, entry, known, asker)
    const keys = { key: `queued ${entry}`, unless: runKey(entry), epoch: head.epoch }
    const { position, isOwn } = await this.#append(session, sessionEvent('queue_added', data), keys)
    if (!isOwn) await this.#requireSame(session, position, data)
    else if (steer) this.#stopRuns(session, asker.principal?.id)
    void this.advance(session)
    return { session, entry, position: formatPosition(position) }
  }

  async change(
    session: string,
    entry: string,
    { steer, principal, asker = askerOf(principal), requireModels, ...changes }: QueueChange,
  ) {
    const before = await this.#find(session, entry)
    const { query, messages, models = before.models, ...more } = changes
    if (changes.models === undefined && before.models !== undefined) requireModels?.(before.models)
    const isOther = query !== undefined || messages !== undefined
    const question = isOther
      ? { query, messages }
      : { query: before.messages ? undefined : before.query, messages: before.messages }
    const { messages: _, ...asked } = askedOf(before)
    const merged = { ...asked, ...askedOf(more), ...question, models }
    const checked = await this.#options.chats.check({ ...merged, session })
    const data = { entry, ...checked, ...optional(models, steer ?? before.steer) }
    await this.#recordAsker(session, entry, await this.#read(session), asker)
    const { position } = await this.#append(session, sessionEvent('queue_changed', data), { unless: runKey(entry) })
    if (steer) this.#stopRuns(session, asker.principal?.id)
    void this.advance(session)
    return { session, entry, position: formatPosition(position) }
  }

  async move(session: string, { entry, before, id = this.#options.newId() }: MoveRequest): Promise<Queued> {
    if (!idPattern.test(id)) throw new MillraceError('invalid_id')
    await this.#find(session, entry)
    if (before !== null) await this.#find(session, before)
    const moved = sessionEvent('queue_moved', { entry, before })
    const { position } = await this.#append(session, moved, { key: `moved ${entry} ${id}`, unless: runKey(entry) })
    return { session, entry, position: formatPosition(position) }
  }

  async remove(session: string, entry: string): Promise<Queued> {
    await this.#find(session, entry)
    // The key of its run: what is removed is never started.
    const removed = sessionEvent('queue_removed', { entry })
    const { position, isOwn } = await this.#append(session, removed, { key: runKey(entry) })
    if (!isOwn) throw new MillraceError('queue_entry_not_found')
    await this.#forgetAsker(session, entry)
    return { session, entry, position: formatPosition(position) }
  }

  async advance(session: string): Promise<void> {
    try {
      await this.#advanceOnce(session)
    } catch (cause) {
      const error = toError(cause)
      if (this.#options.signal.aborted || error.code === 'server_stopping' || error.code === 'session_not_found') return
      if (error.retryable) this.#retryLater(session, error)
      else this.#options.onError(cause)
    }
  }

  async runEnded(session: string): Promise<void> {
    // Who asked is recorded before a question waits. What cannot be read now is tried again.
    const hasQueue = await this.#options.records.find(session).then(
      (record) => Object.keys(record?.queued ?? {}).length > 0,
      () => true,
    )
    if (hasQueue) await this.advance(session)
  }

  /** Rejects with what keeps the next question from being started. */
  async #advance(session: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const transcript = await this.#options.transcripts.read(session)
      const next = transcript && nextOf(transcript)
      if (transcript === undefined || next === undefined) return
      try {
        return await this.#start(transcript, next)
      } catch (cause) {
        const error = toError(cause)
        const hasMoved = error.code === 'head_moved' || error.code === 'position_foreign'
        if (hasMoved && attempt < attemptsMax) continue
        if (hasMoved) throw new MillraceError('engine_busy', { cause })
        if (error.retryable) throw error
        await this.#drop(session, next.entry, error)
      }
    }
  }

  /** Only where the log is as it was read: a change that is recorded meanwhile counts. */
  async #start({ id: session, position }: Transcript, next: QueuedRecord): Promise<void> {
    const { entry, models, messages, query, ...details } = next
    const { chats, limits } = this.#options
    const asker = (await this.#options.records.find(session))?.queued?.[entry]
    // Retention has removed the record: nobody knows who would be charged.
    if (asker === undefined) throw new MillraceError('forbidden', { message: 'It is no longer known who asked this; ask again.' })
    const { principal, address } = asker
    const admit: AdmitRun | undefined = principal && (() => limits.admitRun({ principal, address }))
    const question = messages === undefined ? { query } : { messages }
    const expect = parsePosition(position)?.offset
    const asked = { ...askedOf(details), ...question, models }
    await chats.ask({ ...asked, session, id: entry, principal: principal?.id }, admit, expect)
  }

  async #drop(session: string, entry: string, error: MillraceError): Promise<void> {
    const removed = sessionEvent('queue_removed', { entry, error: error.toPublic() })
    await this.#options.engine.append(session, [removed], { key: runKey(entry), epoch: await this.#epochOf(session) })
  }

  #retryLater(session: string, { retryAfter = retrySeconds.least }: MillraceError): void {
    clearTimeout(this.#retries.get(session))
    const seconds = Math.min(retrySeconds.most, Math.max(retrySeconds.least, retryAfter))
    const timer = setTimeout(() => {
      this.#retries.delete(session)
      void this.advance(session)
    }, seconds * 1000)
    timer.unref()
    this.#retries.set(session, timer)
  }

  #stopRuns(session: string, by: string | undefined): void {
    const stop = async () => {
      const { withdraw, onError } = this.#options
      const { runs } = await this.#read(session)
      const continued = new Set(runs.map(({ continues }) => continues))
      for (const { run, status } of runs) {
        const found = status === 'streaming' ? await this.#options.runs.find(run) : undefined
        if (found !== undefined) void stopRun(found).catch(onError)
        else if (status === 'waiting' && !continued.has(run)) await withdraw({ session, run, by })
      }
    }
    stop().catch(this.#options.onError)
  }

  /** Before the question: a server that starts it finds who asked. Rejects with `queue_full`. */
  async #recordAsker(session: string, entry: string, { queue, runs }: Transcript, asker: QueuedAsker): Promise<void> {
    const pending = new Set(queue.map((one) => one.entry))
    const started = new Set(runs.map(({ run }) => run))
    const now = Date.now()
    const max = this.#options.limits.settings.queuedPerSession
    await changeRecord(this.#options, session, (record) => {
      const isKept = ([id, { at = 0 }]: [string, QueuedAsker]) => pending.has(id) || (at > now - recordMs && !started.has(id))
      const others = Object.entries(record.queued ?? {}).filter((one) => one[0] !== entry && isKept(one))
      if (!pending.has(entry) && others.length >= max) throw new MillraceError('queue_full')
      return { ...record, queued: Object.fromEntries([...others, [entry, { ...asker, at: now }]]) }
    })
  }

  async #forgetAsker(session: string, entry: string): Promise<void> {
    await changeRecord(this.#options, session, (record) => {
      const { [entry]: removed, ...queued } = record.queued ?? {}
      return removed && { ...record, queued }
    })
  }

  async #append(session: string, event: NewEvent, keys: { key?: string; unless?: string; epoch?: string }) {
    try {
      const epoch = keys.epoch ?? (await this.#epochOf(session))
      const { position, duplicate } = await this.#options.engine.append(session, [event], { ...keys, epoch })
      return { position, isOwn: !duplicate }
    } catch (error) {
      const { code } = error as MillraceError
      if (code === 'position_foreign') throw new MillraceError('session_not_found')
      if (code === 'fenced') throw new MillraceError(event.type === 'queue_added' ? 'run_conflict' : 'queue_entry_not_found')
      throw error
    }
  }

  async #requireSame(session: string, position: { epoch: string; offset: number }, data: QueuedQuestion): Promise<void> {
    const { events } = await this.#options.engine.read(session, { ...position, offset: position.offset - 1 }, { eventsMax: 1 })
    if (JSON.stringify(events[0]?.data) !== JSON.stringify(data)) throw new MillraceError('run_conflict')
  }

  async #find(session: string, entry: string): Promise<QueuedRecord> {
    const found = (await this.#read(session)).queue.find((one) => one.entry === entry)
    if (found === undefined) throw new MillraceError('queue_entry_not_found')
    return found
  }

  async #read(session: string): Promise<Transcript> {
    const transcript = await this.#options.transcripts.read(session)
    if (transcript === undefined) throw new MillraceError('session_not_found')
    return transcript
  }

  async #epochOf(session: string): Promise<string> {
    return (await requireLog(this.#options.openLog, session)).head.epoch
  }
}

/** Of every start of a question, and of what removes one that waits. */
const runKey = (entry: string) => `run ${entry}`

/** What is to be asked now: one that steers, else the first, unless somebody has stopped what was being answered. */
function nextOf({ runs, queue, isPaused }: Transcript): QueuedRecord | undefined {
  const statuses = queue.length === 0 ? [] : joinRuns(runs).map(({ status }) => status)
  if (statuses.includes('streaming')) return undefined
  const [first] = statuses.includes('waiting') || isPaused ? [] : queue
  return queue.find(({ steer }) => steer) ?? first
}

/** Without a principal the application itself. */
function askerOf(principal: string | undefined): QueuedAsker {
  return principal === undefined ? {} : { principal: { id: principal, kind: 'user' } }
}

function optional(models: readonly string[] | undefined, steer: boolean | undefined): Pick<QueuedQuestion, 'models' | 'steer'> {
  return { ...(models !== undefined && { models }), ...(steer && { steer }) }
}
