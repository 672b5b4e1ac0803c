/**
 * Logs in which something is not what was written. A reader is let in by `inspect` and finds out only later; let go without
 * a word, it would come back for ever. So a log that somebody could not read is refused at the door, until it can be.
 */
import { errors, MillraceError, type Position } from '@millrace/protocol'
import type { Engine, ReadOptions } from './log.ts'

/** Logs that are doubted at once; beyond it the one that was doubted first is let be until it is read again. */
const quarantinedMax = 1000

export interface Quarantine {
  /** Of the engine; what it refuses as damaged is doubted from then on, and named. */
  readonly read: Engine['read']
  /** Rejects with `log_damaged` where what could not be read cannot be read now. */
  check(log: string): Promise<void>
  forget(log: string): void
}

export function createQuarantine(engine: Engine): Quarantine {
  /** What was asked for: a page of another size may be whole. */
  const quarantined = new Map<string, readonly [after: Position, options?: ReadOptions | undefined]>()

  return {
    async read(log, ...asked) {
      try {
        return await engine.read(log, ...asked)
      } catch (error) {
        if (!isDamaged(error)) throw error
        quarantined.set(log, asked)
        if (quarantined.size > quarantinedMax) quarantined.delete(quarantined.keys().next().value as string)
        throw named(log, error)
      }
    },
    async check(log) {
      const asked = quarantined.get(log)
      if (asked === undefined) return
      try {
        await engine.read(log, ...asked)
      } catch (error) {
        if (isDamaged(error)) throw named(log, error)
      }
      // It has gone by age, or is another one: whatever is wrong now is for who asks for it.
      quarantined.delete(log)
    },
    forget: (log) => void quarantined.delete(log),
  }
}

export function isDamaged(error: unknown): error is MillraceError {
  return error instanceof MillraceError && error.code === 'log_damaged'
}

function named(log: string, error: MillraceError): MillraceError {
  // An engine with a sentence of its own names it.
  if (error.message !== errors.log_damaged.message) return error
  const message = `What is kept of the log ${log} is damaged. Delete it, if it is a session.`
  return new MillraceError('log_damaged', { message, cause: error.cause })
}
