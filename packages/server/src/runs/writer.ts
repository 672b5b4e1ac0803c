/**
 * Appends what a run says to its session's log, one batch at a time: while the engine works on one,
 * what comes in gathers for the next, so a slow engine gets larger batches and not more of them.
 */
import { setTimeout } from 'node:timers/promises'
import { type Json, MillraceError, type SessionEvents, type SessionEventType } from '@millrace/protocol'
import type { Engine, NewEvent } from '../log/log.ts'

/** Events that may wait before the models are asked to. */
const backlogMax = 256
/** How often the end of a run is offered to an engine that refuses it: for a minute or so. */
const endAttempts = 12
const endDelayMs = { first: 50, most: 10_000 }

export interface RunWriter {
  write<T extends SessionEventType>(type: T, data: SessionEvents[T]): void
  /** Whether so much waits that whoever writes SHOULD await `settled()` first. */
  readonly full: boolean
  /** Resolves when all that was written is acknowledged; rejects when the engine refused it. */
  settled(): Promise<void>
  /**
   * Writes the last event, after all others, and also where the engine refused one of them: without it
   * readers would wait for ever. Resolves when it stands in the log, or never will.
   */
  end<T extends SessionEventType>(type: T, data: SessionEvents[T]): Promise<void>
}

export interface RunWriterOptions {
  readonly engine: Engine
  readonly log: string
  readonly epoch: string
  /** Of the end in the log, which is there once however often it is offered. */
  readonly endKey: string
  /** The engine refuses: the run is to end. Called once. */
  readonly onFailure: (error: MillraceError) => void
  /** Aborts when there is no time left to try again. */
  readonly signal: AbortSignal
}

export function createRunWriter({ engine, log, epoch, endKey, onFailure, signal }: RunWriterOptions): RunWriter {
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
    async end(type, data) {
      await writing
      for (let attempt = 1; ; attempt++) {
        try {
          await engine.append(log, [sessionEvent(type, data)], { epoch, key: endKey })
          return
        } catch (cause) {
          const error = toError(cause)
          if (failure === undefined) fail(error)
          if (!error.retryable || attempt === endAttempts || signal.aborted) return
        }
        const delay = Math.min(endDelayMs.most, endDelayMs.first * 2 ** attempt)
        await setTimeout(delay, undefined, { signal }).catch(() => {})
      }
    },
  }

  function fail(error: MillraceError): void {
    waiting = []
    failure = error
    onFailure(error)
  }

  async function writeAll(): Promise<void> {
    try {
      while (waiting.length > 0) {
        const batch = waiting
        waiting = []
        await engine.append(log, batch, { epoch })
      }
    } catch (cause) {
      fail(toError(cause))
    } finally {
      writing = undefined
    }
  }
}

function toError(cause: unknown): MillraceError {
  return cause instanceof MillraceError ? cause : new MillraceError('internal', { cause })
}

/** An event of a session as the log takes it: the log keeps JSON, and what JSON it is, is said here. */
export function sessionEvent<T extends SessionEventType>(type: T, data: SessionEvents[T]): NewEvent {
  return { type, data: data as unknown as Json }
}
