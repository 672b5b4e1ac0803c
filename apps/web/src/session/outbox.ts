/**
 * Questions on their way to the server. Each has the id its run will have, so sending it again
 * after a lost answer never starts a second run, and it leaves the outbox only when the log shows
 * its run. A question asked while an answer is being written waits for its end: a follow-up that
 * overtakes the answer would be answered without knowing it.
 */
import { errors, type PublicError } from '@millrace/protocol'
import type { Answer, Question } from './api.ts'
import { backoffMs } from './backoff.ts'

export interface PendingRun {
  readonly id: string
  readonly query: string
  readonly models: readonly string[]
  /** `waiting`: the server cannot be reached, another attempt will come by itself. */
  readonly status: 'queued' | 'sending' | 'waiting' | 'refused'
  readonly error?: PublicError
}

export interface OutboxPorts {
  /** Makes sure that the session exists; called before every attempt. */
  readonly ensureSession: () => Promise<Answer>
  readonly startRun: (question: Question) => Promise<Answer>
  readonly setTimer: (run: () => void, delayMs: number) => () => void
  readonly random: () => number
  readonly changed: (pending: readonly PendingRun[]) => void
}

export interface Outbox {
  readonly pending: readonly PendingRun[]
  /** One with an error was refused before the page was reloaded; it is not sent again until the user says so. */
  readonly add: (entry: Omit<PendingRun, 'status'>) => void
  /** Recorded runs are no longer pending; `isBusy` holds the others back. */
  readonly settle: (logged: ReadonlySet<string>, isBusy: boolean) => void
  /** The log is lost. What it had accepted and not shown yet will not come; asking again is the user's to decide. */
  readonly lose: () => void
  readonly retry: (id: string) => void
  readonly cancel: (id: string) => void
  /** Tries at once what is waiting for the server to come back. */
  readonly hurry: () => void
  readonly close: () => void
}

export function createOutbox(session: string, ports: OutboxPorts): Outbox {
  let pending: readonly PendingRun[] = []
  let busy = false
  let attempt = 0
  let cancelTimer = () => {}
  let isClosed = false
  /** Ids that the server has accepted and the log does not show yet. */
  const accepted = new Set<string>()

  function update(next: readonly PendingRun[]): void {
    pending = next
    ports.changed(pending)
  }

  function mark(id: string, status: PendingRun['status'], error?: PublicError): void {
    const change = (entry: PendingRun): PendingRun => {
      const { id, query, models } = entry
      return { id, query, models, status, ...(error === undefined ? {} : { error }) }
    }
    update(pending.map((entry) => (entry.id === id ? change(entry) : entry)))
  }

  function sendNext(): void {
    if (busy || isClosed || pending.some((entry) => entry.status === 'sending' || entry.status === 'waiting')) return
    const next = pending.find((entry) => entry.status === 'queued')
    if (next !== undefined) void send(next)
  }

  async function send(entry: PendingRun): Promise<void> {
    mark(entry.id, 'sending')
    const { id, query, models } = entry
    const created = await ports.ensureSession()
    const answer = created.kind === 'done' ? await ports.startRun({ session, id, query, models }) : created
    // Meanwhile its run may have appeared in the log, or the user may have taken it back.
    if (isClosed || !pending.some((one) => one.id === id)) return
    if (answer.kind === 'refused') {
      mark(id, 'refused', answer.error)
      return sendNext()
    }
    if (answer.kind === 'done') {
      attempt = 0
      accepted.add(id)
      return
    }
    mark(id, 'waiting')
    cancelTimer = ports.setTimer(() => resume(), backoffMs(attempt++, ports.random))
  }

  function resume(): void {
    cancelTimer()
    const waiting = pending.find((entry) => entry.status === 'waiting')
    if (waiting !== undefined) void send(waiting)
  }

  return {
    get pending() {
      return pending
    },
    add(entry) {
      update([...pending, { ...entry, status: entry.error === undefined ? 'queued' : 'refused' }])
      sendNext()
    },
    settle(logged, isBusy) {
      busy = isBusy
      for (const id of logged) accepted.delete(id)
      if (pending.some((entry) => logged.has(entry.id))) update(pending.filter((entry) => !logged.has(entry.id)))
      sendNext()
    },
    lose() {
      for (const id of accepted)
        mark(id, 'refused', { code: 'run_not_found', message: errors.run_not_found.message, retryable: true })
      accepted.clear()
    },
    retry(id) {
      mark(id, 'queued')
      sendNext()
    },
    cancel(id) {
      update(pending.filter((entry) => entry.id !== id))
      sendNext()
    },
    hurry: resume,
    close() {
      isClosed = true
      cancelTimer()
    },
  }
}
