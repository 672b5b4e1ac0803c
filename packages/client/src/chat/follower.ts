/**
 * Reads a session for its store. First the transcript is read, then the events from its position are folded into it; where
 * the log can no longer be read on from there, it is read again.
 */
import { parsePosition, type SessionEvent } from '@millrace/protocol'
import { isFinal, MillraceError } from '../errors.ts'
import { pause } from '../pause.ts'
import type { Session, Transcript } from '../session.ts'
import type { ConnectionStatus } from '../status.ts'
import { backoffMs, defaultTimings } from '../timings.ts'
import type { Chat } from './chat.ts'
import { checkTranscript, judgeEvent } from './decode.ts'
import { type ChatTranscript, foldTranscript, interruptTranscript, joinTranscript } from './fold.ts'
import type { PendingRun, Questions } from './questions.ts'

/** A run begins or ends, a call is decided, or the queue changes: it is shown at once. */
const edges = /^(stream_(start|end)|tool_decision|queue_.*)$/

type LoggedEvent = SessionEvent & { readonly id: string }

export interface FollowerOptions {
  readonly session: Session
  readonly questions: Questions
  /** A run began or ended, the queue has changed, or all of it was read. */
  readonly onEdge: (transcript: ChatTranscript) => void
  /** After it was folded into the transcript. */
  readonly onEvent: (event: SessionEvent) => void
  readonly onChange: (when: 'frame' | 'now') => void
}

/** As of now. */
export interface Followed {
  transcript: ChatTranscript
  lost: Chat['lost']
  status: Chat['status']
  error: Error | undefined
}

export interface Follower {
  readonly followed: Readonly<Followed>
  connection(): ConnectionStatus
  /** Begins with what was read elsewhere, if nothing was read here yet. */
  use(first: Transcript): void
  /** The next loop reads the transcript again. */
  expire(): void
  /** Never rejects. */
  follow(signal: AbortSignal): Promise<void>
}

export function createFollower({ session, questions, onEdge, onEvent, onChange }: FollowerOptions): Follower {
  const transcript: ChatTranscript = { id: session.id, position: 'start', complete: true, runs: [] }
  const followed: Followed = { transcript, lost: [], status: 'loading', error: undefined }
  let isStale = true
  let hasBegun = false
  /** While it waits to load again. */
  let wait: Partial<ConnectionStatus> | undefined

  return { followed, connection, use, expire, follow }

  function connection(): ConnectionStatus {
    return hasBegun ? asShown(session.connection.current, followed.status, wait) : session.connection.initial
  }

  function use(first: Transcript): void {
    if (followed.transcript.position !== 'start') return
    isStale = false
    put(joinTranscript(first))
    onChange('now')
  }

  function expire(): void {
    isStale = true
  }

  async function follow(signal: AbortSignal): Promise<void> {
    hasBegun = true
    const unsubscribe = session.connection.subscribe(() => onChange('now'))
    signal.addEventListener('abort', unsubscribe)
    let isUnmade = false
    for (let attempt = 0; ; attempt++) {
      try {
        if (isUnmade) await session.create({ signal })
        if (isStale) await read(signal)
        setStatus('live')
        for await (const event of session.events({ from: followed.transcript.position, signal })) {
          // Another loop may have begun where this one was when it ended.
          if (signal.aborted) return
          // What is missing would be a hole in the text; the transcript says what there still is.
          if (event.type === 'gap') throw new MillraceError('position_expired')
          take(event)
          attempt = 0
        }
        return signal.aborted ? undefined : setStatus('closed')
      } catch (cause) {
        if (signal.aborted) return
        isStale = true
        const error = cause as MillraceError
        const isLost = error.code === 'session_not_found'
        // The page was reloaded after the first question and before its session was made.
        isUnmade = isLost && followed.transcript.position === 'start' && questions.pending.some(isQueued)
        if (isUnmade) continue
        if (isLost) {
          put(interruptTranscript(followed.transcript))
          questions.lose(questions.started())
        }
        if (!isPassing(error)) return setStatus('closed', error)
        const delayMs = backoffMs(attempt, Math.random(), defaultTimings, error)
        wait = { state: 'reconnecting', retryAt: Date.now() + delayMs, attempt: attempt + 1, error }
        setStatus('loading', error)
        await pause(delayMs, signal)
      }
    }
  }

  async function read(signal: AbortSignal): Promise<void> {
    wait = undefined
    setStatus('loading', followed.error)
    const started = questions.started()
    const next = joinTranscript(checkTranscript(await session.read({ signal })))
    signal.throwIfAborted()
    isStale = false
    const before = followed.transcript
    if (isOther(before, next)) followed.lost = [...followed.lost, ...interruptTranscript(before).runs]
    put(next)
    questions.lose(started)
  }

  function take(event: LoggedEvent): void {
    const next = fold(followed.transcript, event)
    const isEdge = edges.test(event.type)
    if (isEdge) put(next)
    else followed.transcript = next
    onChange(isEdge ? 'now' : 'frame')
    onEvent(event)
  }

  function put(next: ChatTranscript): void {
    followed.transcript = next
    onEdge(next)
  }

  function setStatus(status: Chat['status'], error?: Error): void {
    if (status !== 'loading') wait = undefined
    else if (status === followed.status && error === followed.error) return
    Object.assign(followed, { status, error })
    onChange('now')
  }
}

function asShown(current: ConnectionStatus, status: Chat['status'], wait?: Partial<ConnectionStatus>): ConnectionStatus {
  if (wait !== undefined) return { ...current, ...wait } as ConnectionStatus
  return status === 'loading' && current.state === 'idle' ? { ...current, state: 'connecting' } : current
}

/** Throws `bad_answer`. An event of a newer server adds nothing. */
function fold(transcript: ChatTranscript, event: LoggedEvent): ChatTranscript {
  const verdict = judgeEvent(event)
  if (verdict === 'bad') throw new MillraceError('bad_answer')
  return verdict === 'unknown' ? { ...transcript, position: event.id } : foldTranscript(transcript, event, Date.now())
}

/** Whether the session is read again. Also with a position that is of no more use: the transcript names another. */
function isPassing(error: MillraceError): boolean {
  const isPosition = ['position_foreign', 'position_expired', 'position_ahead'].includes(error.code)
  return isPosition || (error instanceof MillraceError && !isFinal(error))
}

/** Of another log: the session was lost or deleted, and created again. */
function isOther(before: ChatTranscript, next: ChatTranscript): boolean {
  const [old, current] = [before, next].map(({ position }) => parsePosition(position)?.epoch)
  return old !== undefined && old !== current
}

function isQueued({ status }: PendingRun): boolean {
  return status === 'queued'
}
