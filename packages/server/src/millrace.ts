/** The API of a server in a Node application: what `createMillrace` returns. */
import type { Decided, ErrorCode } from '@millrace/protocol'
import type { Registry } from '@prometheus-io/client'
import type { Revoke } from './access/access.ts'
import type { ApiKeys } from './access/keys.ts'
import type { Shares } from './access/shares.ts'
import type { Publication, Published } from './channels/channels.ts'
import type { Handler } from './gateway/handlers.ts'
import type { ListenOptions } from './gateway/listen.ts'
import type { Upgrade } from './gateway/upgrade.ts'
import type { UsageReader } from './limits/usage.ts'
import type { Engine } from './log/log.ts'
import type { Run } from './runs/run.ts'
import type { ChatRequest, RegenerateRequest, ResumeRequest, SourceRequest } from './sessions/chat-requests.ts'
import type { DecideRequest } from './sessions/decisions.ts'
import type { WithFiles } from './sessions/given-files.ts'
import type { History } from './sessions/history.ts'
import type { Instructions } from './sessions/instructions.ts'
import type { Queue, QueueChange, Queued, QueueRequest } from './sessions/queue.ts'
import type { Transcript } from './sessions/transcript.ts'
import type { ListedConnection } from './transports/connection.ts'
import type { ConnectionFilter } from './transports/connections.ts'

export interface ListeningAt {
  readonly url: string
  readonly port: number
  /** Where Prometheus reads; undefined where it cannot. */
  readonly metricsUrl: string | undefined
}

export interface Millrace {
  readonly handler: Handler
  /** The same for web-standard hosts: Hono, Next.js, Deno-style servers. */
  readonly fetch: (request: Request) => Promise<Response>
  /** For WebSockets on your own server: `server.on('upgrade', millrace.upgrade)`. */
  readonly upgrade: Upgrade
  /** Starts an HTTP server, beside those that earlier calls started. Rejects when the port is taken. */
  listen(options?: ListenOptions): Promise<ListeningAt>
  /**
   * Asks models. Resolves when the run's start is recorded; its events are read from the log. Files in the messages are kept in
   * the session first. Rejects with a MillraceError, such as `session_not_found`, `model_not_found`, `query_missing` or
   * `too_many_runs`.
   */
  ask(request: WithFiles<ChatRequest>): Promise<Run>
  /**
   * Resumes an answer that ended early, in a new run; only lanes that did not complete are continued. Rejects with
   * `run_not_found` or `run_not_continuable`, or as `ask` does.
   */
  resume(request: ResumeRequest): Promise<Run>
  /**
   * Asks the question of a run again, or another one in its place, in a run beside it. Keeps files as `ask` does. Rejects with
   * `run_not_found`, or as `ask` does.
   */
  regenerate(request: WithFiles<RegenerateRequest>): Promise<Run>
  /**
   * Decides about calls of a run that waits, or gives their results. When no call waits, the run that goes on is started. Rejects
   * with `run_not_waiting`, `call_not_waiting`, `call_decided` or `approval_expired`, or as `ask` does; then none is recorded.
   */
  decide(request: DecideRequest): Promise<Decided>
  /** Questions that wait until nothing is being answered in their session. */
  readonly queue: Pick<Queue, 'move' | 'remove'> & {
    /** Rejects with `queue_full`, or as `ask` does. The same id again is the same question. */
    add(request: WithFiles<QueueRequest>): Promise<Queued>
    /** Rejects with `queue_entry_not_found` once the question was started or removed. */
    change(session: string, entry: string, change: WithFiles<QueueChange>): Promise<Queued>
  }
  /** A run whose tokens come from your own code: any iterable of text or events. Rejects as `ask` does. */
  run(request: WithFiles<SourceRequest>): Promise<Run>
  /**
   * Appends an event to a channel, which is created if it does not exist; every reader of the channel gets it. Rejects with
   * `invalid_channel`, `invalid_event` or `event_too_large`, or with the engine's error.
   */
  publish(publication: Publication): Promise<Published>
  /** A run of this server; undefined if the id is unknown, or the run ended too long ago to be remembered. */
  findRun(id: string): Run | undefined
  /** The conversation so far; undefined if the session does not exist. Rejects with the engine's error. */
  readSession(id: string): Promise<Transcript | undefined>
  /** Lists, renames, instructs, deletes and shares sessions. */
  readonly sessions: Pick<History, 'list' | 'rename' | 'delete'> & {
    readonly instructions: Instructions
    readonly shares: Shares
  }
  /** Which model answers a request that names none, and why. Rejects with `model_not_found` or `model_unavailable`. */
  defaultModel(): Promise<{ readonly name: string; readonly reason: string }>
  /** API keys of servers. They are kept by the engine, and accepted where `access` or `authenticate` is given. */
  readonly keys: ApiKeys
  /** Takes away what a user, a token or a session was given. Rejects where there is no authentication. */
  readonly access: Revoke
  /** What each principal has used, by day. */
  readonly usage: UsageReader
  readonly engine: Engine
  /** For a scrape of your own: `await metrics.metrics()`. Undefined where they are turned off. */
  readonly metrics: Registry | undefined
  /** The number of open connections, of all transports. */
  readonly connections: number
  /** All of them, or those that read one session. */
  listConnections(session?: string): ListedConnection[]
  /**
   * Closes the connections of this process that match every given condition, and returns their number. Their clients get
   * the code. If it may be retried they reconnect, and `authorize` is asked again: it rejects those that may no longer
   * read. `connection_closed` is the code for everybody else.
   */
  closeConnections(filter: ConnectionFilter, code: ErrorCode): number
  /**
   * Accepts no more connections and runs, and waits up to `graceMs` milliseconds, default 0, for those in progress. Where
   * servers share the engine, readers are disconnected meanwhile, a few at a time, to continue on another server. Runs
   * that are still in progress then end as `interrupted`, with everything they wrote; streams and the engine are closed.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>
}
