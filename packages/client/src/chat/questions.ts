/**
 * What was asked here and is not in the transcript yet. Each question has the id that its run will have, so sending it again,
 * also after a reload of the page, starts no second run.
 */
import { type Message, queryOf } from '@millrace/protocol'
import { MillraceError } from '../errors.ts'
import { newId } from '../host.ts'
import type { QueueOptions, ResumeOptions, Run, RunOptions, Session } from '../session.ts'
import { type ChatStorage, load, store } from './storage.ts'

export type AskOptions = Omit<RunOptions, 'query' | 'messages' | keyof ResumeOptions>

/** Asked, and not in `runs` yet. */
export interface PendingRun extends AskOptions {
  /** Becomes `run` of the run. */
  readonly id: string
  readonly query: string
  readonly messages?: readonly Message[] | undefined
  /** The run beside which it is asked: again, or where `isEdited` with another question. */
  readonly regenerates?: string
  readonly isEdited?: boolean
  /** It waits on the server, or is on its way there. */
  readonly isQueued?: boolean
  readonly steer?: boolean
  /**
   * `queued`: waits until nothing is being answered. `sending`: waits for the connection, or for its start. `rejected`, with
   * an `error`: stays until it is retried or withdrawn.
   */
  readonly status: 'queued' | 'sending' | 'rejected'
  readonly error?: MillraceError
}

export interface Questions {
  readonly pending: readonly PendingRun[]
  ask(question: string | readonly Message[], options: AskOptions & Pick<PendingRun, 'regenerates' | 'isEdited'>): Run
  queue(question: string | readonly Message[], options: AskOptions & Pick<PendingRun, 'steer'>): string
  retry(id: string): void
  withdraw(id: string): void
  /** The runs that are recorded, and whether one of them is being answered. */
  settle(ids: ReadonlySet<string>, isAnswering: boolean): void
  /** It was asked here, also before the page was loaded. */
  isAsked(id: string): boolean
  /** Their starts are recorded. */
  started(): readonly string[]
  /** Those of them that are still pending were in a log that is lost: they will not come. */
  lose(ids: readonly string[]): void
  /** Keeps the questions there from now on, and asks those that were kept. */
  keepIn(storage: ChatStorage): void
}

/** Runs that are known after a reload to have been asked here. */
const askedMax = 50

interface Sent {
  readonly abort: AbortController
  isStarted: boolean
}

export function createQuestions(session: Session, onChange: () => void): Questions {
  let pending: readonly PendingRun[] = []
  const sent = new Map<string, Sent>()
  const asked = new Set<string>()
  let storage: ChatStorage | undefined
  /** Until the transcript says that nothing is, something may be. */
  let isAnswering = true

  return {
    get pending() {
      return pending
    },
    ask: (question, options) => send(add(question, options, 'sending')),
    queue(question, options) {
      const { id } = add(question, { ...options, isQueued: true }, 'queued')
      sendNext()
      return id
    },
    retry(id) {
      change(id, toQueued)
      sendNext()
    },
    withdraw(id) {
      const attempt = sent.get(id)
      attempt?.abort.abort()
      // It may have been sent.
      const isQueued = pending.some((one) => one.id === id && one.isQueued)
      if (attempt !== undefined) (isQueued ? session.queue.remove(id) : session.stop(id)).catch(() => {})
      put(pending.filter((one) => one.id !== id))
      sendNext()
    },
    settle(ids, isBusy) {
      isAnswering = isBusy
      if (pending.some(({ id }) => ids.has(id))) put(pending.filter(({ id }) => !ids.has(id)))
      sendNext()
    },
    isAsked: (id) => asked.has(id),
    started: () => [...sent].filter(([, { isStarted }]) => isStarted).map(([id]) => id),
    lose(ids) {
      for (const id of ids) change(id, toLost)
    },
    keepIn(next) {
      if (storage === next) return
      storage = next
      const kept = load(next, keyOf(session))
      for (const id of kept) if (typeof id === 'string') asked.add(id)
      put([...kept.flatMap(fromKept).filter(({ id }) => !pending.some((one) => one.id === id)), ...pending])
      sendNext()
    },
  }

  function add(question: string | readonly Message[], options: Partial<PendingRun>, status: PendingRun['status']): PendingRun {
    put([...pending, { ...options, ...readQuestion(question), id: newId(), status }])
    return pending.at(-1) as PendingRun
  }

  function send(one: PendingRun): Run {
    return follow(one.id, (signal) => start(session, one, signal))
  }

  function follow<T extends Promise<unknown>>(id: string, act: (signal: AbortSignal) => T): T {
    const attempt = { abort: new AbortController(), isStarted: false }
    const answer = act(attempt.abort.signal)
    sent.set(id, attempt)
    answer.then(
      () => {
        attempt.isStarted = true
      },
      (error: MillraceError) => {
        if (attempt.abort.signal.aborted) return
        change(id, (one) => ({ ...one, status: 'rejected', error }))
        sendNext()
      },
    )
    return answer
  }

  function sendNext(): void {
    const next = pending.find(({ id, status }) => status === 'queued' && !sent.has(id))
    if (next?.isQueued) {
      void follow(next.id, (signal) => session.queue.add({ ...asOptions(next), signal }))
      return sendNext()
    }
    if (next === undefined || isAnswering || pending.some(({ status }) => status === 'sending')) return
    change(next.id, (one) => ({ ...one, status: 'sending' }))
    void send(next)
  }

  function change(id: string, edit: (one: PendingRun) => PendingRun): void {
    if (pending.some((one) => one.id === id)) put(pending.map((one) => (one.id === id ? edit(one) : one)))
  }

  function put(next: readonly PendingRun[]): void {
    pending = next
    for (const id of sent.keys()) if (!next.some((one) => one.id === id && isOnItsWay(one))) sent.delete(id)
    for (const { id } of next) asked.add(id)
    store(storage, keyOf(session), [...next.map(toKept), ...[...asked].slice(-askedMax)])
    onChange()
  }
}

function start(session: Session, one: PendingRun, signal: AbortSignal): Run {
  const { regenerates, isEdited } = one
  const asked = asOptions(one)
  if (regenerates === undefined) return session.run({ ...asked, signal })
  const { parent: _parent, parentLane: _lane, query: _query, messages: _messages, ...changes } = asked
  return session.regenerate(regenerates, {
    ...(isEdited ? { ...asked, parent: undefined, parentLane: undefined } : changes),
    signal,
  })
}

function toQueued(one: PendingRun): PendingRun {
  const { error: _, ...asked } = one
  return { ...asked, status: 'queued' }
}

/** The old id is used. */
function toLost(one: PendingRun): PendingRun {
  const error = new MillraceError('run_not_found', { message: 'The log of this run was lost.', retryable: true })
  return { ...one, id: newId(), status: 'rejected', error }
}

function isOnItsWay({ isQueued, status }: PendingRun): boolean {
  return isQueued === true || status === 'sending'
}

/** What of it is asked. */
function asOptions(one: PendingRun): Omit<QueueOptions, keyof ResumeOptions> & { readonly id: string } {
  const { status: _, error: __, query, messages, regenerates: _of, isEdited: _is, isQueued: _on, ...asked } = one
  return { ...asked, ...(messages === undefined ? { query } : { messages }) }
}

function readQuestion(question: string | readonly Message[]): Pick<PendingRun, 'query' | 'messages'> {
  return typeof question === 'string' ? { query: question } : { query: queryOf(question), messages: question }
}

/** There are the questions that wait, and the ids of those that were asked, in their order. */
function keyOf({ id }: Session): string {
  return `millrace.pending.${id}`
}

function toKept({ error, ...one }: PendingRun): object {
  const { code, message, retryable } = error ?? {}
  return { ...one, ...(error && { error: { code, message, retryable } }) }
}

/** What was rejected before stays so until it is retried; everything else is asked when nothing is being answered. */
function fromKept(kept: unknown): PendingRun[] {
  const one = kept as PendingRun | null
  if (typeof one?.id !== 'string' || typeof one.query !== 'string') return []
  const { error, ...asked } = one
  if (typeof error?.code !== 'string') return [{ ...asked, status: 'queued' }]
  return [{ ...asked, status: 'rejected', error: new MillraceError(error.code, error) }]
}
