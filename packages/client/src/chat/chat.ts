/** What a store of a session shows and does, and how it is made. */

import type { CallDecision, CallResult, Decided, Json, Message } from '@millrace/protocol'
import type { ContinuedPart } from '../commands/sender.ts'
import type { MillraceError } from '../errors.ts'
import type { StopOptions } from '../run.ts'
import type { QueueOptions, Run, Session, Transcript } from '../session.ts'
import type { ConnectionStatus } from '../status.ts'
import type { ChatRun } from './fold.ts'
import type { Store } from './live-store.ts'
import type { AskOptions, PendingRun } from './questions.ts'
import type { ChatStorage } from './storage.ts'
import type { CallOf, ChatTypes } from './typed-parts.ts'

/** `Types`: what an application knows of its tools and its data. */
export interface Chat<Types extends ChatTypes = ChatTypes> {
  /**
   * The path that is shown, from the first question to the newest, unless another was chosen. What continues a run is a part
   * of it. A run that did not change is the same object as before.
   */
  readonly runs: readonly ChatRun<Types>[]
  /**
   * Of each run that is not alone at its place in the tree, the runs there in the order in which they began, itself included.
   * Its number is its place in the list, as in `2 / 3`.
   */
  readonly siblings: ReadonlyMap<string, readonly string[]>
  /** Runs that were shown before the session was lost or deleted. They cannot be stopped or resumed. */
  readonly lost: readonly ChatRun<Types>[]
  /**
   * In the order they were asked, first those that wait on the server, also those of others. Each is gone with the change
   * that brings its run.
   */
  readonly pending: readonly PendingRun[]
  /** Runs that are being stopped from here, and have not ended yet. */
  readonly stopping: ReadonlySet<string>
  /** Runs that were resumed from here and do not go on yet; with the error where they will not. */
  readonly resuming: ReadonlyMap<string, MillraceError | undefined>
  /** False where retention has cut the beginning of the log. */
  readonly complete: boolean
  /**
   * `loading`: the transcript is being read, for the first time or because the log was cut or re-created.
   * `live`: `runs` follow the log; how the connection is, `connection` says. `closed`: it does not go on, by
   * `error`, or because somebody called `leave` of the session or `close` of the client.
   */
  readonly status: 'loading' | 'live' | 'closed'
  /**
   * Why it is closed, or why the last attempt to load failed; that is repeated by itself. A MillraceError, or a
   * TypeError where a loop of your own reads the same session.
   */
  readonly error: Error | undefined
  /** That of the client, and `reconnecting` while the transcript waits to be read again. */
  readonly connection: ConnectionStatus
  /**
   * Asks a question, or with new messages, in order after what was asked before; see `Session.run`. At most 100 wait. What it
   * gives need not be awaited: an error shows in `pending`. Where the session was lost, it is created again.
   */
  ask(question: string | readonly Message[], options?: AskOptions): Run
  /** Asks the question of a run again, beside it, by the same models or others. It is shown when it begins. */
  regenerate(run: string, options?: AskOptions): Run
  /** Asks another question in place of a run's, beside it. */
  edit(run: string, question: string | readonly Message[], options?: AskOptions): Run
  /** Goes on from an earlier run, or from one of its lanes with `parentLane`. */
  branch(run: string, question: string | readonly Message[], options?: AskOptions): Run
  /** Shows the path through a run, to the newest below it, until something is asked here. */
  choose(run: string): void
  /** Asks when nothing is being answered any more. Returns the id of the run. */
  queue(question: string | readonly Message[], options?: AskOptions): string
  /** Stops what is being answered, and asks next. Returns the id of the run. */
  steer(question: string | readonly Message[], options?: AskOptions): string
  /** Changes a question that waits on the server: what it asks, or with `steer` that it is asked now. */
  changeQueued(id: string, change: Omit<QueueOptions, 'id'>): ReturnType<Session['queue']['edit']>
  /** Asks a question that waits on the server before another one, or with null last. */
  moveQueued(id: string, before: string | null): ReturnType<Session['queue']['move']>
  /** Asks a rejected question again. */
  retry(id: string): void
  /** Takes a pending question back. If it had been sent, its run is stopped. */
  withdraw(id: string): void
  /**
   * Goes on with a run that was stopped, has failed or was interrupted: it is `streaming` again, and the new text
   * follows what it had said. Need not be awaited; rejects with `run_not_continuable`.
   */
  resume(run: string, part?: ContinuedPart): Run
  /** Decides about calls of a run that is `waiting`; rejects as `Session.decide` does. Need not be awaited. */
  decide(run: string, decisions: readonly CallDecision[]): Promise<Decided>
  /** Stops a run, or one of its lanes, for everybody, by its id. Need not be awaited; rejects with `run_not_found`. */
  stop(run: string, options?: Pick<StopOptions, 'lane'>): ReturnType<Session['stop']>
  /** Lets the server execute a call of a run that waits for approval. The same as `decide` with `approve`. */
  approve(run: string, call: string): Promise<Decided>
  /** The results of calls that the application executes. The same as `decide` with `result`. */
  addToolResults(run: string, results: readonly CallResult[]): Promise<Decided>
  /** Forgets why a run could not be resumed. */
  clearError(run: string): void
  /** Reads the transcript again and goes on from there, at once, also when it was closed. */
  reload(): void
}

/** A call of a tool that the application executes. */
export type ClientCall<Types extends ChatTypes = ChatTypes> = CallOf<Types> & {
  readonly call: string
  /** As in `runs`. */
  readonly run: string
}

export interface ChatOptions<Types extends ChatTypes = ChatTypes> {
  /** What `session.read()` gave on a server: the store begins with it, if it has read nothing yet. */
  readonly transcript?: Transcript | undefined
  /** Where pending questions, and which runs were asked here, are kept over a reload, such as `sessionStorage`. Default nowhere. */
  readonly storage?: ChatStorage | undefined
  /** Called when a run ends while it is read here: also `waiting`, `stopped` and `failed` are ends. The last one given counts. */
  readonly onEnd?: ((run: ChatRun<Types>) => void) | undefined
  /**
   * Called with a call that a client executes, in a run that was asked here; with `storage` also before a reload. What it
   * returns, or its promise resolves to, is sent as the result, and an error as the reason why there is none; `undefined` sends
   * nothing: use `addToolResults`. The last one given counts.
   *
   * Once for each call, and in one tab, where there are Web Locks. A page that is left before the result is recorded calls it
   * again when it is back; of two results the first counts.
   */
  readonly onToolCall?: ((call: ClientCall<Types>) => Json | undefined | Promise<Json | undefined>) | undefined
}

export interface ChatStore<Types extends ChatTypes = ChatTypes> extends Store<Chat<Types>> {
  /** What a server renders that has read this transcript, and the page at first. Changes nothing: requests share a session. */
  preview(transcript: Transcript): Chat<Types>
}
