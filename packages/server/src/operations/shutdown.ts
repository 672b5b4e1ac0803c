/**
 * The order in which a server stops. Each step has a bound, so that `close()` ends in time whatever a run, a reader or the
 * engine does: a service manager would otherwise kill the process half way.
 */
import type { Server } from 'node:http'
import { Server as NetServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { Engine } from '../log/log.ts'
import type { Drain } from './drain.ts'

export interface ShutdownOptions {
  readonly runs: { refuse(): void; close(): Promise<void> }
  /** Aborted first: from then on requests get `server_stopping`. */
  readonly stopping: AbortController
  readonly drain: Drain
  /** Resolves when every reader has what its log holds, or the signal aborts. */
  readonly settleReaders: (signal: AbortSignal) => Promise<void>
  /** Resolves when the responses in progress are written. */
  readonly settleResponses: () => Promise<unknown>
  /** Closes the connections of streams that have ended: the HTTP server no longer knows them. */
  readonly closeEnded: () => void
  readonly heartbeat: { close(): void }
  readonly webhooks: { close(): Promise<void> }
  readonly membership: { close(): Promise<void> } | undefined
  readonly engine: Engine
  readonly onError: (error: unknown) => void
}

export interface Shutdown {
  /** An HTTP server to close. */
  add(server: Server): void
  /** Calls after the first return its promise. */
  close(graceMs: number): Promise<void>
}

/** For the ends of runs, for readers to get them, for responses, and for the other servers to learn that this one leaves. */
const stepMsMax = 1000
/** For an engine that no longer responds. A working one closes as soon as it has written what it accepted. */
const engineCloseMsMax = 2000

export function createShutdown(options: ShutdownOptions): Shutdown {
  const { runs, stopping, drain, settleReaders, settleResponses, closeEnded, heartbeat, webhooks, membership, engine, onError } =
    options
  const servers: Server[] = []
  let closing: Promise<void> | undefined

  return {
    add: (server) => void servers.push(server),
    close(graceMs) {
      closing ??= close(graceMs)
      return closing
    },
  }

  async function close(graceMs: number): Promise<void> {
    runs.refuse()
    stopping.abort()
    // Stops listening only: `http.Server.close` also destroys connections that it takes for idle, streams among them.
    for (const server of servers) NetServer.prototype.close.call(server)
    await drain.wait(graceMs)
    await atMost(stepMsMax, runs.close())
    // Readers that are not slow get the ends of their runs before they are disconnected.
    await atMost(stepMsMax, settleReaders(AbortSignal.timeout(stepMsMax)))
    drain.closeAll()
    heartbeat.close()
    // Those of long-polls that waited, too: their clients go on from the positions that they get.
    await atMost(stepMsMax, settleResponses())
    for (const server of servers) {
      server.close()
      server.closeAllConnections()
    }
    closeEnded()
    // The ends of the last runs are among them.
    await atMost(stepMsMax, webhooks.close())
    await atMost(stepMsMax, membership?.close())
    await atMost(engineCloseMsMax, engine.close())
  }

  /** Waits for a step up to its bound; reports its error and continues. */
  async function atMost(milliseconds: number, step: Promise<unknown> | undefined): Promise<void> {
    const waiting = new AbortController()
    const late = setTimeout(milliseconds, undefined, { signal: waiting.signal, ref: false }).catch(() => {})
    await Promise.race([step?.catch(onError), late])
    waiting.abort()
  }
}
