/**
 * For engines that are shared: notifies the bells of the logs watched on this node, of this engine's own appends and of
 * other nodes' appends, with the log's head.
 */
import type { Position } from '@millrace/protocol'

export interface Notifier {
  /** `seen` is the head of the log that this engine has seen last, if any. */
  watch(log: string, bell: () => void, seen: Position | undefined): () => void
  /** The log has reached `head`; 0 when the log has ended or has a new epoch. */
  notify(log: string, head: number): void
  /** The head by the last notification. A page before it MUST NOT report its end as the log's: no bell would follow. */
  notifiedHead(log: string): number
  /** Lowers the notified head to the head that was just read, so that a later append notifies again. */
  resetNotifiedHead(log: string, head: number): void
  readonly watched: Iterable<string>
  /** True when this node is notified of every append to the log, by any node. */
  isSubscribed(log: string): boolean
  /** The connection was opened, for the first time or again; notifications in between are lost. */
  connected(): void
  close(): void
}

export interface NotifierOptions {
  /** Resolves when subscribed, with the function that ends the subscription; rejects when not connected. */
  readonly subscribe: (log: string, onMessage: (head: number) => void) => Promise<() => void>
  /** The head of a log now; undefined when there is none. */
  readonly headOf: (log: string) => Promise<Position | undefined>
}

/** Between two calls of `headOf` that reject. */
const pauseMs = 200

interface Watched {
  readonly bells: Set<() => void>
  /** By the last notification: the engine's own appends are published to it, too. */
  head: number
  state: 'unsubscribed' | 'subscribing' | 'subscribed'
  unsubscribe: (() => void) | undefined
}

export function createNotifier({ subscribe, headOf }: NotifierOptions): Notifier {
  const logs = new Map<string, Watched>()
  let wasConnected = false

  return {
    watch(log, bell, seen) {
      // A wrapper, so that the same function can watch twice and each watch ends alone.
      const own = () => bell()
      const watched: Watched = logs.get(log) ?? {
        bells: new Set(),
        head: seen?.offset ?? 0,
        state: 'unsubscribed',
        unsubscribe: undefined,
      }
      watched.bells.add(own)
      if (!logs.has(log)) {
        logs.set(log, watched)
        void begin(log, watched, seen)
      }
      return () => {
        if (!watched.bells.delete(own) || watched.bells.size > 0) return
        logs.delete(log)
        watched.unsubscribe?.()
      }
    },
    notify,
    notifiedHead: (log) => logs.get(log)?.head ?? 0,
    resetNotifiedHead(log, head) {
      const watched = logs.get(log)
      if (watched !== undefined) watched.head = Math.min(watched.head, head)
    },
    get watched() {
      return logs.keys()
    },
    isSubscribed: (log) => logs.get(log)?.state === 'subscribed',
    connected() {
      for (const [log, watched] of logs) {
        if (watched.state === 'unsubscribed') void begin(log, watched)
        else if (wasConnected) notifyAll(watched)
      }
      wasConnected = true
    },
    close: () => logs.clear(),
  }

  function notify(log: string, head: number): void {
    const watched = logs.get(log)
    if (watched === undefined || (head > 0 && head <= watched.head)) return
    watched.head = head
    notifyAll(watched)
  }

  async function begin(log: string, watched: Watched, seen?: Position): Promise<void> {
    if (watched.state !== 'unsubscribed') return
    watched.state = 'subscribing'
    try {
      const unsubscribe = await subscribe(log, (head) => notify(log, head))
      watched.state = 'subscribed'
      watched.unsubscribe = unsubscribe
      if (logs.get(log) !== watched) return unsubscribe()
    } catch {
      // Not connected: `connected` subscribes again.
      watched.state = 'unsubscribed'
      return
    }
    // Appends before the subscription have notified nobody here.
    while (logs.get(log) === watched) {
      try {
        const head = await headOf(log)
        const isSame = seen === undefined || seen.epoch === head?.epoch
        const offset = head?.offset ?? 0
        if (isSame && offset === watched.head) return
        // Later appends are notified.
        watched.head = isSame ? Math.max(watched.head, offset) : offset
        return notifyAll(watched)
      } catch {
        // An engine that does not respond has waited already; a damaged log is rejected at once.
        await new Promise((resolve) => setTimeout(resolve, pauseMs).unref())
      }
    }
  }
}

function notifyAll({ bells }: Watched): void {
  for (const bell of bells) bell()
}
