/**
 * Connections whose principal expires: each is asked to renew when it does, and closed when it has not after the leeway. One
 * timer looks after all of them.
 */
import { MillraceError } from '@millrace/protocol'
import { inSlices } from '../delivery/in-slices.ts'
import type { Scheduler } from '../delivery/scheduler.ts'

export interface Expiring {
  /** Milliseconds since 1970. */
  readonly expiresAt: number | undefined
  /** Asks the client to renew; does nothing after the first time. */
  requestRenewal(): void
  terminate(error: MillraceError): void
}

export interface Expiry {
  /** Adds a connection, or removes one that no longer expires. */
  watch(connection: Expiring): void
  forget(connection: Expiring): void
}

export interface ExpiryOptions {
  readonly scheduler: Scheduler
  /** Milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number
  /** Calls the function every second until the returned function is called. */
  readonly everySecond?: (look: () => void) => () => void
}

/** Time to renew, and for clocks that differ: tokens are accepted as long. */
const leewayMs = 30_000

export function createExpiry({ scheduler, now = Date.now, everySecond = startTimer }: ExpiryOptions): Expiry {
  const watched = new Set<Expiring>()
  let stop: (() => void) | undefined

  return {
    watch(connection) {
      if (connection.expiresAt === undefined) return forget(connection)
      watched.add(connection)
      stop ??= everySecond(() => scheduler.add(inSlices(scheduler, watched, look)))
    },
    forget,
  }

  function forget(connection: Expiring): void {
    if (!watched.delete(connection) || watched.size > 0) return
    stop?.()
    stop = undefined
  }

  function look(connection: Expiring): void {
    const { expiresAt = Number.POSITIVE_INFINITY } = connection
    if (now() >= expiresAt + leewayMs) connection.terminate(new MillraceError('token_expired'))
    else if (now() >= expiresAt) connection.requestRenewal()
  }
}

function startTimer(look: () => void): () => void {
  const timer = setInterval(look, 1000).unref()
  return () => clearInterval(timer)
}
