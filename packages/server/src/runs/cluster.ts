/**
 * What runs need of the other servers over the same engine: who is alive, and which run has which id. Runs own these
 * contracts, and `cluster/` implements them, so that neither folder imports how the other works.
 */
import type { Position } from '@millrace/protocol'
import type { RecordedEnd, Run } from './run.ts'

/** Where logs outlive the process, or several servers share them. */
export interface Cluster {
  readonly liveness: Liveness
  readonly directory: RunDirectory
}

/** Which servers that share the engine are alive, as far as runs need it. `cluster/` implements it. */
export interface Liveness {
  /** This server among those that share the engine. */
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

/** What the log of a run keeps of what was asked. */
export interface Claim extends Pick<Run, 'session' | 'lanes' | 'queryHash'> {
  /** Null for the default model. */
  readonly asked: readonly string[] | null
  /** Absent for a question. */
  readonly continues?: string
  readonly node: string
  /** Of the session's log, where the run MUST NOT be put into another. */
  readonly epoch?: string
  /** Key of the batch that keeps the start of this claim from coming into the session's log. */
  readonly fence: string
}

/** What the log of a run says of it. */
export interface Recorded {
  readonly claim: Claim
  /** Of the claim in the log of the run. */
  readonly at: Position
  /** Of the run in the log of its session. */
  readonly start?: Position
  readonly end?: RecordedEnd
  readonly isReleased?: true
}

export interface RunDirectory {
  /**
   * Gives the epoch of the run's own log where the id is the caller's to start, else the run that was started with it
   * before. Rejects with `session_not_found` where that run's session is gone. MUST NOT be called while this node is
   * starting a run of the same id: what it had claimed before has come to nothing.
   */
  claim(id: string, claim: Claim): Promise<{ readonly epoch: string } | { readonly run: Run }>
  /** The run's start stands in its session's log. */
  started(id: string, epoch: string, start: Position): Promise<void>
  /** So does its end, which retention may take from there. */
  ended(id: string, epoch: string, end: RecordedEnd): Promise<void>
  /** The claim with this fence has come to nothing: the id is free, for all. */
  release(id: string, fence: string): Promise<void>
  find(id: string): Promise<Run | undefined>
  /** What stands in the run's own log. */
  read(id: string): Promise<Recorded | undefined>
  /** Takes the run's own log away. */
  forget(id: string): Promise<void>
}
