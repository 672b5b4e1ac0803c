/**
 * What happens in a server, for metrics, logs, webhooks and the ledger of usage. Each of them is an observer: an object with
 * those of these methods that it needs. A method that no observer has costs nothing; none is called for a token.
 *
 * A method MUST return at once, and MUST NOT change what it gets. What it throws is reported and reaches no caller.
 */
import type { EndStatus, ErrorCode, Json, Lane, Metadata, RunEnd } from '@millrace/protocol'

export interface ObservedConnection {
  /** The same on the wire. It is made when it is read, so only who writes it down should read it. */
  readonly id: string
  readonly transport: 'sse' | 'ws' | 'poll'
  /** Id of the principal. */
  readonly principal: string
  readonly address: string | undefined
  /** Logs that it reads now: sessions by their id, channels as `channel/` and their name. */
  readonly logs: readonly string[]
}

export interface ConnectionEnd {
  /**
   * `left`: the client closed it. `ended`: it has everything that it asked for. `drained`: the server stops. `stalled`: its
   * client was too slow, or did not answer. `misuse`, `flood`: its client broke the protocol, or sent too much. `failed`: it
   * was never served. Otherwise the code of an error.
   */
  readonly code: ConnectionEndCode
  readonly durationMs: number
  /** Of events, also those that a reader with `slow=latest` skipped. */
  readonly events: number
  readonly bytes: number
}

export type ConnectionEndCode = 'left' | 'ended' | 'drained' | 'stalled' | 'misuse' | 'flood' | 'failed' | ErrorCode

export interface Attachment {
  readonly kind: 'session' | 'channel'
  readonly log: string
  readonly principal: string
  /** Whether the reader continues from a position; otherwise it reads from the beginning, or what is new. */
  readonly isResume: boolean
  /** `gap`: it asked to skip what it has missed. `error`: its position can no longer be served, or the log cannot be read. */
  readonly result: 'exact' | 'gap' | 'error'
  /** Of the error. */
  readonly code?: ErrorCode
}

export interface ObservedRun {
  readonly run: string
  readonly session: string
  /** Id of the principal that asked; undefined where the host's own code did. */
  readonly principal: string | undefined
  readonly lanes: readonly Lane[]
  /** The run that this one resumes. */
  readonly continues: string | undefined
  /** What the application gave it. */
  readonly metadata: Metadata | undefined
}

/** A file that was uploaded. */
export interface UploadedFile {
  readonly session: string
  readonly position: string
  /** Who uploaded it, as limits name it. */
  readonly by: string
  readonly mediaType: string
  readonly size: number
  /** Since the upload began. */
  readonly durationMs: number
}

export interface LimitHit {
  /** The name of the limit, of a closed list: it is a label of a metric. */
  readonly limit: string
  readonly code: ErrorCode
  /** Id of the principal. */
  readonly principal: string | undefined
  readonly address?: string | undefined
}

/** What an operator has changed over the admin API, or has tried to. */
export interface AdminChange {
  /** Id of the principal. */
  readonly principal: string
  readonly address: string | undefined
  /** Such as `POST /api/admin/connections/disconnect`. */
  readonly request: string
  /** Without secrets, and without what was published. */
  readonly input: Json
  /** Of the error where it failed. */
  readonly code?: ErrorCode
}

export type EngineOperation = 'append' | 'read' | 'inspect' | 'list' | 'delete'

export interface Observer {
  connectionOpened?(connection: ObservedConnection): void
  connectionClosed?(connection: ObservedConnection, end: ConnectionEnd): void
  /** A reader was attached to a log, or was not. */
  attached?(attachment: Attachment): void
  sessionCreated?(session: { readonly session: string; readonly principal: string | undefined }): void
  /** The start of a run of this server is in the log. */
  runStarted?(run: ObservedRun): void
  /** The first part of a lane has arrived, in milliseconds since the request was accepted. */
  firstToken?(run: ObservedRun, lane: Lane, ms: number): void
  /**
   * Called once for each run that has started, by the server that has recorded its end: another one where its own has died. Also
   * where the end could not be recorded.
   */
  runEnded?(run: ObservedRun, end: RunEnd & { readonly status: EndStatus }): void
  /** A run of this server was ended by another, which had taken this one for dead. That one calls `runEnded`. */
  runLost?(run: ObservedRun, end: RunEnd & { readonly status: EndStatus }): void
  /** An uploaded file is complete, and in its session. */
  fileUploaded?(file: UploadedFile): void
  /** A limit rejected a request, a message or a connection. */
  limitHit?(hit: LimitHit): void
  /** A call of the engine that was timed has settled. Not every call is timed: this one stands for `calls` of them. */
  engineCalled?(operation: EngineOperation, ms: number, calls: number): void
  /** A call of the engine was rejected. */
  engineFailed?(operation: EngineOperation, code: ErrorCode): void
  /** A body or a message of a client has arrived. */
  received?(transport: 'http' | 'ws', bytes: number): void
  /** Once for each request that changes something, whatever its outcome. */
  adminChanged?(change: AdminChange): void
  /** A client got this error, in a response or as a message. */
  errorSent?(code: ErrorCode): void
}

const methods: readonly (keyof Observer)[] = [
  'connectionOpened',
  'connectionClosed',
  'attached',
  'sessionCreated',
  'runStarted',
  'firstToken',
  'runEnded',
  'runLost',
  'fileUploaded',
  'limitHit',
  'engineCalled',
  'engineFailed',
  'received',
  'errorSent',
  'adminChanged',
]

/** One observer for all, with the methods that at least one of them has. */
export function combineObservers(observers: readonly Observer[], onError: (error: unknown) => void): Observer {
  const combined: Record<string, (...args: unknown[]) => void> = {}
  for (const name of methods) {
    const interested = observers.filter((observer) => observer[name] !== undefined)
    if (interested.length === 0) continue
    combined[name] = (...args) => {
      for (const observer of interested) {
        try {
          ;(observer[name] as (...args: unknown[]) => void)(...args)
        } catch (error) {
          onError(error)
        }
      }
    }
  }
  return combined as Observer
}
