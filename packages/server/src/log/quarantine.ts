/**
 * Logs found damaged. Without this a client would attach, fail on the first page and reconnect for ever: such logs are
 * rejected at attach until a read succeeds.
 */
import { errors, MillraceError, type Position } from '@millrace/protocol'
import { LRUCache } from 'lru-cache'
import { decorate } from './decorate.ts'
import type { Engine, ReadOptions } from './log.ts'

/** A log evicted from the quarantine returns to it with its next failed read. */
const quarantinedMax = 1000

export interface Quarantine {
  /** Reads from the engine. A log that is rejected as damaged is quarantined, and the error names it. */
  readonly read: Engine['read']
  /** Rejects with `log_damaged` when the log is quarantined and its failed read fails again. */
  check(log: string): Promise<void>
  forget(log: string): void
}

export function createQuarantine(engine: Engine): Quarantine {
  /** The failed read of each log: a page of another size may succeed. */
  const quarantined = new LRUCache<string, readonly [after: Position, options?: ReadOptions | undefined]>({ max: quarantinedMax })

  return {
    async read(log, ...request) {
      try {
        return await engine.read(log, ...request)
      } catch (error) {
        if (!isDamaged(error)) throw error
        quarantined.set(log, request)
        throw named(log, error)
      }
    },
    async check(log) {
      const request = quarantined.get(log)
      if (request === undefined) return
      try {
        await engine.read(log, ...request)
      } catch (error) {
        if (isDamaged(error)) throw named(log, error)
      }
      // Any other rejection, such as of an expired position, is the caller's to handle.
      quarantined.delete(log)
    },
    forget: (log) => void quarantined.delete(log),
  }
}

/** An engine that rejects `inspect` of a quarantined log, so that a reader is rejected when it attaches. */
export function quarantineDamaged(engine: Engine): Engine {
  if (!engine.isDurable && !engine.isShared) return engine
  const quarantine = createQuarantine(engine)
  return decorate(engine, {
    read: quarantine.read,
    ...(engine.peek && { peek: engine.peek.bind(engine) }),
    async inspect(log) {
      await quarantine.check(log)
      return engine.inspect(log)
    },
    delete(log) {
      quarantine.forget(log)
      return engine.delete(log)
    },
  })
}

export function isDamaged(error: unknown): error is MillraceError {
  return error instanceof MillraceError && error.code === 'log_damaged'
}

function named(log: string, error: MillraceError): MillraceError {
  // The engine's own message, where it has one, names the log.
  if (error.message !== errors.log_damaged.message) return error
  const message = `The stored data of the log ${log} is damaged. Delete it, if it is a session.`
  return new MillraceError('log_damaged', { message, cause: error.cause })
}
