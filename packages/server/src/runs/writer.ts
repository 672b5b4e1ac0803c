/**
 * Appends what a run says to its session's log, one batch at a time: while the engine works on one,
 * what comes in gathers for the next, so a slow engine gets larger batches and not more of them.
 */
import { type Json, MillraceError, type SessionEvents, type SessionEventType } from '@millrace/protocol'
import type { Engine, NewEvent } from '../log/log.ts'

/** Events that may wait before the models are asked to. */
const backlogMax = 256

export interface RunWriter {
  write<T extends SessionEventType>(type: T, data: SessionEvents[T]): void
  /** Whether so much waits that whoever writes SHOULD await `settled()` first. */
  readonly full: boolean
  /** Resolves when all that was written is acknowledged; rejects when the engine refused it. */
  settled(): Promise<void>
}

export interface RunWriterOptions {
  readonly engine: Engine
  readonly log: string
  readonly epoch: string
  /** The engine refuses: nothing of this run can be kept any more. Called once. */
  readonly onFailure: (error: MillraceError) => void
}

export function createRunWriter({ engine, log, epoch, onFailure }: RunWriterOptions): RunWriter {
  let waiting: NewEvent[] = []
  let writing: Promise<void> | undefined
  let failure: MillraceError | undefined

  return {
    write(type, data) {
      if (failure !== undefined) return
      waiting.push(sessionEvent(type, data))
      writing ??= writeAll()
    },
    get full() {
      return waiting.length >= backlogMax
    },
    async settled() {
      await writing
      if (failure !== undefined) throw failure
    },
  }

  async function writeAll(): Promise<void> {
    try {
      while (waiting.length > 0) {
        const batch = waiting
        waiting = []
        await engine.append(log, batch, { epoch })
      }
    } catch (cause) {
      waiting = []
      failure = cause instanceof MillraceError ? cause : new MillraceError('internal', { cause })
      onFailure(failure)
    } finally {
      writing = undefined
    }
  }
}

/** An event of a session as the log takes it: the log keeps JSON, and what JSON it is, is said here. */
export function sessionEvent<T extends SessionEventType>(type: T, data: SessionEvents[T]): NewEvent {
  return { type, data: data as unknown as Json }
}
