/** One conversation: what is said in it comes out of `events`, what is asked goes in by `run`. */
import type {
  Asked,
  CallDecision,
  Decided,
  EndStatus,
  FileInfo,
  Gap,
  Json,
  LaneEnd,
  LanePart,
  Message,
  QueuedQuestion,
  RunEnd,
  SessionEvent,
} from '@millrace/protocol'
import type { Outbox } from './commands/outbox.ts'
import type { Command, ContinuedPart, Started } from './commands/sender.ts'
import { type CallOptions, callWithin } from './deadline.ts'
import { MillraceError } from './errors.ts'
import { newId } from './host.ts'
import type { Http, HttpRequest } from './http.ts'
import { createLogReader, type LogReader, type LogReaderOptions } from './log-reader.ts'
import { createRunView, type RecordedEnd, type RunView, type StopOptions, withGetters } from './run.ts'
import type { ConnectionStore } from './status.ts'
import type { FlowOptions } from './transports/transport.ts'

/** An event and the position after it. A `gap` says that retention was faster than this reader. */
export type SessionLogEvent = (SessionEvent | { readonly type: 'gap'; readonly data: Gap }) & { readonly id: string }

export interface ResumeOptions extends CallOptions {
  /** Id of the run, 1 to 64 of `A-Z a-z 0-9 _ -`; the same id is the same run. Default a random one. */
  readonly id?: string
  /**
   * False: one attempt. Where that is not answered the promise rejects (`unreachable`, `silent`), nobody knows
   * whether the run began, and the same id may be asked again. Default true.
   */
  readonly isRetried?: boolean
}

export interface RunOptions extends ResumeOptions, Asked {
  /** At most 32,768 characters; this or `messages`. */
  readonly query?: string
  /** Names of models, one lane each, at most 8; default the server's. */
  readonly models?: readonly string[]
}

/** Questions that wait on the server until nothing is being answered: PROTOCOL.md#the-queue. Every tab sees and changes them. */
export interface SessionQueue {
  /** `id` becomes that of the run. With `steer` what is being answered is stopped. Rejects with `queue_full`. */
  add(options: QueueOptions): Promise<Queued>
  /** What is absent stays as it was. Rejects with `queue_entry_not_found` once it was started or removed. */
  edit(entry: string, change: Omit<QueueOptions, 'id'>): Promise<Queued>
  /** Asks it before another one that waits, or with null last. Rejects with `queue_entry_not_found` where one of them does not wait. */
  move(entry: string, before: string | null, options?: CallOptions): Promise<Queued>
  /** Rejects with `queue_entry_not_found` once it was started or removed. */
  remove(entry: string, options?: CallOptions): Promise<Queued>
}

export interface QueueOptions extends RunOptions {
  /** Stops what is being answered, and asks next. Default false. */
  readonly steer?: boolean
}

export interface Queued {
  readonly session: string
  /** Becomes the id of the run. */
  readonly entry: string
  readonly position: string
}

/** What is absent is as it was. */
export type RegenerateOptions = Omit<RunOptions, 'parent' | 'parentLane'>

/** Resolves when the run's start is recorded; rejects with the server's error. Waits while there is no connection. */
export interface Run extends Promise<Started>, RunView {}

export interface FetchRequest extends CallOptions, Pick<HttpRequest, 'method' | 'headers'> {
  readonly body?: Blob | undefined
}

export interface Session extends LogReader<SessionLogEvent> {
  readonly id: string
  /** That of the client. */
  readonly connection: ConnectionStore
  run(options: RunOptions): Run
  /**
   * Goes on with an answer that was stopped, has failed or was interrupted, in a run of its own: its `stream_start` says
   * which one it `continues`. Rejects with `run_not_continuable` where that run goes on, is complete, or was continued.
   */
  resume(run: string, options?: ResumeOptions & ContinuedPart): Run
  /** Asks the question of a run again, beside it, or with `query` or `messages` another one. Rejects with `run_not_found`. */
  regenerate(run: string, options?: RegenerateOptions): Run
  /** Asks another question in place of a run's: the new run is beside it. */
  edit(run: string, question: string | readonly Message[], options?: RegenerateOptions): Run
  /** Goes on from an earlier run. Rejects with `parent_not_found`, and while that run is in progress with `parent_in_progress`. */
  branch(run: string, question: string | readonly Message[], options?: RunOptions): Run
  readonly queue: SessionQueue
  /** Stops what is being answered, and asks next. What was said stays in the conversation. Rejects with `queue_full`. */
  steer(question: string | readonly Message[], options?: RunOptions): Promise<Queued>
  /** The same as `stop` of a Run, for one that was started elsewhere. Rejects with `run_not_found`. */
  stop(run: string, options?: StopOptions): Promise<RecordedEnd>
  /**
   * Decides about calls that wait for approval; when none waits any longer, the run goes on. Of several decisions about one
   * call the first counts. Rejects with `call_not_waiting`, `approval_expired` or `run_not_waiting`.
   */
  decide(run: string, decisions: readonly CallDecision[], options?: CallOptions): Promise<Decided>
  /** A run that was started elsewhere or before. Its reading rejects with `run_not_found` where the session has none with this id. */
  runs(id: string): RunView
  /**
   * Makes the session on the server, again where it was lost or deleted. What needs a new session does it by itself. Rejects
   * with the server's error.
   */
  create(options?: CallOptions): Promise<void>
  /** The conversation so far, and the position to go on from. One attempt; rejects with `session_not_found`, and with `silent` where nothing comes for `answerMs`. */
  read(options?: CallOptions): Promise<Transcript>
  /** A request to the server with the client's token; the session is made before. One attempt, without a deadline. */
  fetch(path: string, request?: FetchRequest): Promise<Response>
  /** The address of a file of this session, for a page that reads it without a token. `@millrace/client/files` reads one. */
  fileUrl(position: string): string
  /** A link with which everybody who has its token reads this session, and no other. Rejects where the server is open. */
  share(options?: ShareOptions): Promise<Share>
  /** Revokes a link; who reads with it is disconnected. Rejects with `not_found`. */
  unshare(share: string, options?: CallOptions): Promise<void>
}

export interface ShareOptions extends CallOptions {
  /** Seconds, from 60; default 7 days. */
  readonly expiresIn?: number
}

/** See PROTOCOL.md#share-links. */
export interface Share {
  readonly id: string
  /** For the `token` of another client; the server shows it once. */
  readonly token: string
  /** Both in milliseconds since 1970. */
  readonly createdAt: number
  readonly expiresAt: number
}

/** `GET /api/sessions/:id`; see PROTOCOL.md#http. */
export interface Transcript {
  readonly id: string
  readonly position: string
  readonly complete: boolean
  readonly runs: readonly TranscriptRun[]
  /** Questions that wait, in their order: PROTOCOL.md#the-queue. */
  readonly queue?: readonly QueuedQuestion[]
}

/** One question and what was answered; with its end, where it has one. */
export type TranscriptRun = Partial<Omit<RunEnd, 'status' | 'lanes'>> &
  Asked & {
    readonly run: string
    readonly query: string
    /** The run that this one follows; null for the first of a conversation. Absent in one that continues another. */
    readonly parent?: string | null | undefined
    /** The run that this one goes on with: PROTOCOL.md#continuing-an-answer. */
    readonly continues?: string
    readonly startedAt: number
    readonly status: 'streaming' | EndStatus
    readonly lanes: readonly TranscriptLane[]
  }

/** What one model answered. */
export type TranscriptLane = Partial<Omit<LaneEnd, 'status'>> & {
  readonly lane: string
  readonly model: string
  readonly text: string
  readonly reasoning: string
  readonly data: readonly { readonly name: string; readonly value: Json }[]
  readonly files: readonly TranscriptFile[]
  /** All of its answer, in order: text, reasoning, calls of tools with their results, data, files, sources, ends of steps. */
  readonly parts: readonly LanePart[]
  readonly status: 'streaming' | EndStatus
}

/** Without its bytes, which are the event after `position`: PROTOCOL.md#files. */
export type TranscriptFile = FileInfo & { readonly position: string }

export interface SessionOptions extends Omit<LogReaderOptions, 'source' | 'prepare'> {
  readonly flow: FlowOptions
  readonly id: string
  readonly http: Http
  readonly outbox: Outbox
  readonly connection: ConnectionStore
  /** Deadline of `read` and `create`. */
  readonly requestMs: number
}

/** A command with what names it, to which its session and its options are added. */
interface Named {
  readonly type: Command['type']
  readonly run?: string
  readonly id?: string
  readonly entry?: string
  readonly before?: string | null
}

export function createSession({ id, http, outbox, connection, requestMs, flow, ...options }: SessionOptions): Session {
  const { place } = options
  let making: Promise<unknown> | undefined
  const address = `api/sessions/${encodeURIComponent(id)}`

  const { logReader, open } = createLogReader<SessionLogEvent>({ ...options, source: { session: id, ...flow }, prepare: make })
  const session: Session = Object.assign(logReader, {
    id,
    connection,
    run: (options: RunOptions) => start({ type: 'run' }, options),
    resume: (run: string, options?: ResumeOptions & ContinuedPart) => start({ type: 'continue', run }, options),
    regenerate: (run: string, options?: RegenerateOptions) => start({ type: 'regenerate', run }, options),
    edit: (run: string, question: string | readonly Message[], options?: RegenerateOptions) =>
      session.regenerate(run, { ...options, ...asQuestion(question) }),
    branch: (run: string, question: string | readonly Message[], options?: RunOptions) =>
      session.run({ ...options, ...asQuestion(question), parent: run }),
    queue: {
      add: ({ id: run = newId(), ...options }: QueueOptions) => send<Queued>({ type: 'queue', id: run }, options),
      edit: (entry: string, change: Omit<QueueOptions, 'id'>) => send<Queued>({ type: 'queue_change', entry }, change),
      move: (entry: string, before: string | null, options?: CallOptions) =>
        send<Queued>({ type: 'queue_move', entry, before, id: newId() }, options),
      remove: (entry: string, options?: CallOptions) => send<Queued>({ type: 'queue_remove', entry }, options),
    },
    steer: (question: string | readonly Message[], options?: RunOptions) =>
      session.queue.add({ ...options, ...asQuestion(question), steer: true }),
    stop: (run: string, { lane, ...options }: StopOptions = {}) =>
      outbox.send({ type: 'stop', run, lane, session: id }, options) as Promise<RecordedEnd>,
    decide: (run: string, decisions: readonly CallDecision[], options?: CallOptions) =>
      outbox.send({ type: 'decide', run, session: id, decisions }, options) as Promise<Decided>,
    runs(run: string) {
      const locate = async () => {
        const { runs } = await session.read()
        if (runs.some((one) => one.run === run)) return 'start'
        throw new MillraceError('run_not_found', { retryable: false })
      }
      return view(run, locate)
    },
    create: (options: CallOptions = {}) =>
      callWithin(requestMs, options.signal, async () => {
        place.isMade = false
        await make()
      }),
    async fetch(path: string, request?: FetchRequest) {
      await make()
      return http.stream(path, request)
    },
    fileUrl: (position: string) => `${http.base}api/files/${id}/${encodeURIComponent(position)}`,
    read: (options?: CallOptions) => call('', options) as Promise<Transcript>,
    share: ({ expiresIn: ttl, ...options }: ShareOptions = {}) => call('/shares', options, { body: { ttl } }) as Promise<Share>,
    async unshare(share: string, options?: CallOptions) {
      await call(`/shares/${encodeURIComponent(share)}`, options, { method: 'DELETE' })
    },
  })
  return session

  function call(path: string, options: CallOptions = {}, request?: HttpRequest): Promise<unknown> {
    return callWithin(requestMs, options.signal, async (signal) => {
      await make()
      return http.json(address + path, { ...request, signal })
    })
  }

  /** When it is first needed, and undefined once it is made. Made twice it is the same. */
  function make(): Promise<unknown> | undefined {
    if (place.isMade) return undefined
    making ??= http
      .json('api/sessions', { body: { id } })
      .then(() => {
        place.isMade = true
      })
      .finally(() => {
        making = undefined
      })
    return making
  }

  function start(command: Named, { id: run = newId(), ...options }: ResumeOptions = {}): Run {
    const started = send<Started>({ ...command, id: run }, options)
    return withGetters(
      started,
      view(run, async () => (await started).position),
    )
  }

  function send<Answer>(command: Named, { isRetried, signal, ...fields }: Omit<QueueOptions, 'id'> = {}): Promise<Answer> {
    return outbox.send({ ...command, ...fields, session: id } as Command, { isRetried, signal, prepare: make }) as Promise<Answer>
  }

  function view(run: string, locate: () => Promise<string>): RunView {
    return createRunView({ id: run, locate, open, stop: (options) => session.stop(run, options) })
  }
}

function asQuestion(question: string | readonly Message[]): Pick<RunOptions, 'query' | 'messages'> {
  return typeof question === 'string' ? { query: question } : { messages: question }
}
