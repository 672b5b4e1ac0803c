/**
 * One connection for all tabs: `connect(url, { tabs: shareTabs() })`. The tabs of an origin choose a leader,
 * whose streams the others read and through which they send; when it closes, crashes or sleeps another one
 * takes over, and everybody goes on at the position it had reached. A browser opens at most six connections to
 * an HTTP/1.1 server, so that without this the seventh tab hangs.
 */
import type { OwnCarrier, SharedCarrier, TabSharing } from '../carrier.ts'
import { newId } from '../host.ts'
import type { Transport, TransportName } from '../transports/transport.ts'
import { openTabChannel } from './channel.ts'
import { createHub } from './hub.ts'
import { createLeadership } from './leadership.ts'
import type { Locks } from './lock.ts'
import type { Answer, News, ToAll, ToLeader } from './messages.ts'
import { createRelay } from './relay.ts'
import { createService } from './service.ts'

export interface ShareTabsOptions {
  /**
   * Tabs with the same key, of the same origin and server, share a connection, and with it the leader's token:
   * give it the user's id where tabs may belong to different users. Any text, default ''.
   */
  readonly key?: string
  /**
   * Milliseconds that a leading tab may take to answer before another takes over, and between two such questions; a tab
   * asks twice. 1 to 2,147,483,647, default 2,000: a hidden tab is slow to ask, and a busy one slow to answer. Throws a
   * RangeError for others. A tab that is alone ignores it.
   */
  readonly answerMs?: number
}

/** For `connect(url, { tabs })`. Where the host has no Web Locks or no BroadcastChannel, each tab has its own connection. */
export function shareTabs(options: ShareTabsOptions = {}): TabSharing {
  const { answerMs = 1 } = options
  if (!(answerMs >= 1 && answerMs < 2 ** 31)) throw new RangeError(`answerMs is ${answerMs}: not 1 to 2147483647.`)
  return (own) => {
    const { navigator } = globalThis as { navigator?: { locks?: Locks } }
    try {
      const hasAll = navigator?.locks !== undefined && typeof BroadcastChannel === 'function'
      return hasAll ? share(own, navigator.locks as Locks, options) : undefined
    } catch {
      // A host that keeps such things from this page throws where others have none: the tab connects by itself.
      return undefined
    }
  }
}

function share(own: OwnCarrier, locks: Locks, { key = '', answerMs = 2000 }: ShareTabsOptions): SharedCarrier {
  const tab = newId()
  const name = `millrace ${own.base} ${key}`
  const lockOf = (of: string) => `${name} ${of}`
  const all = openTabChannel<ToAll | ToLeader>(name, (message) => {
    if (message.type === 'who' || message.type === 'leading') leadership.receive(message)
    else service?.receive(message)
  })
  const mine = openTabChannel<News | Answer>(lockOf(tab), (message) => {
    if (message.leader === leadership.leader) relay.receive(message)
  })
  const post = all.post
  const hub = createHub(own)
  const relay = createRelay({ tab, answerMs: own.timings.answerMs, post })
  let service: ReturnType<typeof createService> | undefined
  /** What waits for a leader. */
  let whenLed = Promise.withResolvers<void>()
  const leadership = createLeadership({ name, tab, locks, answerMs, post, onChange })
  /** While this tab is awake; while its lock is held, the leader knows that it is open. */
  let alive: AbortController | undefined
  let isClosed = false

  const unlisten = listen({ pagehide: rest, freeze: rest, pageshow: wake, resume: wake })
  wake()

  const transportThrough = (transport: TransportName): Transport => ({
    open(request) {
      void whenLed.promise.then(() => {
        if (!request.signal.aborted) carrier().transports[transport].open(request)
      })
    },
  })
  return {
    transports: forEachName(transportThrough),
    sender: {
      canPipeline: own.sender.canPipeline,
      async send(command, isPipelined) {
        await whenLed.promise
        return carrier().sender.send(command, isPipelined)
      },
    },
    get whenLed() {
      return leadership.leader === undefined ? whenLed.promise : undefined
    },
    get isLeading() {
      return leadership.leader === tab
    },
    close() {
      isClosed = true
      unlisten()
      rest()
      all.close()
      mine.close()
    },
  }

  function carrier() {
    return leadership.leader === tab ? { transports: hub.transports, sender: own.sender } : relay
  }

  function onChange(): void {
    const isLeading = leadership.leader === tab
    if (leadership.leader === undefined) whenLed = Promise.withResolvers()
    else whenLed.resolve()
    service?.close()
    service = isLeading
      ? createService({
          tab,
          transports: hub.transports,
          sender: own.sender,
          locks,
          lockOf,
          openChannel: (of) => openTabChannel(lockOf(of)),
        })
      : undefined
    // Last, when the new leader is set: readers that are handed over reconnect at once.
    relay.cut()
    hub.close()
    own.onLeading()
  }

  /** A page that is put away must not lead, nor be waited for. */
  function rest(): void {
    leadership.resign()
    alive?.abort()
    alive = undefined
  }

  function wake(): void {
    // A page is also shown when it has only just begun.
    if (isClosed || alive !== undefined) return
    alive = new AbortController()
    const { signal } = alive
    locks
      .request(lockOf(tab), { signal }, () => new Promise((resolve) => signal.addEventListener('abort', () => resolve())))
      .catch(() => {})
    leadership.join()
  }
}

function forEachName<T>(create: (name: TransportName) => T): Record<TransportName, T> {
  return { sse: create('sse'), ws: create('ws'), hybrid: create('hybrid'), poll: create('poll') }
}

function listen(listeners: Readonly<Record<string, () => void>>): () => void {
  const host = globalThis as Partial<EventTarget> & { document?: EventTarget }
  const targets = [host, host.document]
  for (const [type, listener] of Object.entries(listeners))
    for (const target of targets) target?.addEventListener?.(type, listener)
  return () => {
    for (const [type, listener] of Object.entries(listeners))
      for (const target of targets) target?.removeEventListener?.(type, listener)
  }
}
