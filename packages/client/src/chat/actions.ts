/** What can be done with a session that is shown: its runs are named as they are shown, and errors show there too. */
import type { CallDecision, Decided } from '@millrace/protocol'
import type { Session } from '../session.ts'
import type { Chat } from './chat.ts'
import { findLast, findRun } from './find-run.ts'
import type { Followed } from './follower.ts'
import type { Marks } from './marks.ts'
import type { AskOptions, Questions } from './questions.ts'

export interface ActionsOptions {
  readonly session: Session
  readonly questions: Questions
  readonly marks: Marks
  readonly followed: Readonly<Followed>
  /** Where a question belongs that names no place. */
  readonly place: () => AskOptions
  /** Creates the session again where it was lost. */
  readonly recreate: () => void
}

export type Actions = Omit<
  { readonly [Name in keyof Chat as Chat[Name] extends (...given: never[]) => unknown ? Name : never]: Chat[Name] },
  'choose' | 'reload'
>

export function createActions({ session, questions, marks, followed, place, recreate }: ActionsOptions): Actions {
  return {
    ask(question, options = {}) {
      recreate()
      return questions.ask(question, { ...place(), ...options })
    },
    regenerate(run, options = {}) {
      const { query = '', messages } = findRun(followed.transcript, run) ?? {}
      return questions.ask(messages ?? query, { ...options, ...placeOf(run), regenerates: run })
    },
    edit: (run, question, options = {}) =>
      questions.ask(question, { ...options, ...placeOf(run), regenerates: run, isEdited: true }),
    branch: (run, question, options = {}) => questions.ask(question, { ...options, parent: run }),
    queue(question, options = {}) {
      recreate()
      return questions.queue(question, { ...place(), ...options })
    },
    retry(id) {
      recreate()
      questions.retry(id)
    },
    steer(question, options = {}) {
      recreate()
      return questions.queue(question, { ...place(), ...options, steer: true })
    },
    changeQueued(id, change) {
      const changed = session.queue.edit(id, change)
      // It may have been started meanwhile.
      changed.catch(() => {})
      return changed
    },
    moveQueued(id, before) {
      const moved = session.queue.move(id, before)
      // One of them may have been started meanwhile.
      moved.catch(() => {})
      return moved
    },
    withdraw(id) {
      if (followed.transcript.queue?.some(({ entry }) => entry === id)) session.queue.remove(id).catch(() => {})
      else questions.withdraw(id)
    },
    resume(run, part) {
      const last = findLast(followed.transcript, run)
      const resumed = session.resume(last, part)
      marks.resume(run, last, resumed)
      return resumed
    },
    decide,
    stop(run, options) {
      const stopped = session.stop(findLast(followed.transcript, run), options)
      if (options?.lane === undefined) marks.stop(run, stopped)
      else stopped.catch(() => {})
      return stopped
    },
    approve: (run, call) => decide(run, [{ call, decision: 'approve' }]),
    addToolResults: (run, results) => {
      const decisions = results.map((result) => ({ ...result, decision: 'result' as const }))
      return decide(run, decisions)
    },
    clearError: marks.clearError,
  }

  function decide(run: string, decisions: readonly CallDecision[]): Promise<Decided> {
    const decided = session.decide(findLast(followed.transcript, run), decisions)
    // Somebody else was quicker: what counts is in the log.
    decided.catch(() => {})
    return decided
  }

  function placeOf(run: string): AskOptions {
    const { parent, parentLane } = findRun(followed.transcript, run) ?? {}
    return { parent, parentLane }
  }
}
