/**
 * What runs need of the other servers over the same engine: which are alive, and which run has which id. `runs/` owns
 * these contracts and `cluster/` implements them, so that neither folder imports the other's implementation.
 */
import type { Position } from '@millrace/protocol'
import type { RecordedEnd, Run } from './run.ts'

/** With an engine that is durable or shared. */
export interface Cluster {
  readonly liveness: Liveness
  readonly directory: RunDirectory
}

/** Which of the servers that share the engine are alive. */
export interface Liveness {
  /** This server's node id. */
  readonly id: string
  /** No other server shares the engine while this one runs. */
  readonly isSole?: true
  /** Announces that this node is alive; resolves when others can see it. A run MUST NOT be recorded in a log before. */
  join(): Promise<void>
  /** Whether the node has closed, or was declared dead. Rejects with the engine's error. */
  isDead(node: string): Promise<boolean>
  /** Watches a node until it is dead; then the logs that are known to have its runs are recovered. */
  watchNode(node: string): void
}

/** A request as the log of its run records it, without its text. */
export interface Claim extends Pick<Run, 'session' | 'lanes' | 'queryHash'> {
  /** Null for the default model. */
  readonly asked: readonly string[] | null
  /** The run that this one resumes; absent for a question. */
  readonly continues?: string
  readonly node: string
  /** Who asked, and when, in milliseconds since 1970: a server that ends the run of a dead one charges its usage. */
  readonly principal?: string
  readonly askedAt?: number
  /** Of the session's log, where the run MUST NOT be recorded in another epoch. */
  readonly epoch?: string
  /** Key of a batch; once it is in the session's log, the start of this claim cannot be appended. */
  readonly fence: string
}

/** The state of a run by its own log. */
export interface Recorded {
  readonly claim: Claim
  /** Of the claim, in the run's own log. */
  readonly at: Position
  /** Before the run's first event, in the log of its session. */
  readonly start?: Position
  readonly end?: RecordedEnd
  readonly isReleased?: true
}

export interface RunDirectory {
  /**
   * Resolves with the epoch of the run's own log where the caller may start the run, else with the run that was started
   * before. Rejects with `session_not_found` where that run's session was deleted. MUST NOT be called while this node starts
   * a run of the same id: an earlier claim of this node counts as abandoned.
   */
  claim(id: string, claim: Claim): Promise<{ readonly epoch: string } | { readonly run: Run }>
  /** Records that the run's start is in its session's log. */
  started(id: string, epoch: string, start: Position): Promise<void>
  /** Records the end, which retention may delete from the session's log. */
  ended(id: string, epoch: string, end: RecordedEnd): Promise<void>
  /** Abandons the claim with this fence: any node may claim the id again. */
  release(id: string, fence: string): Promise<void>
  find(id: string): Promise<Run | undefined>
  /** Reads the run's own log. */
  read(id: string): Promise<Recorded | undefined>
  /** Deletes the run's own log. */
  forget(id: string): Promise<void>
}
