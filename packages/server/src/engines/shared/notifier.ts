/**
 * For engines that are shared: the bells of the logs that are watched here, rung by what is appended here and by what
 * others are heard to append. What is heard says how far a log has come, and carries no event.
 */
import type { Position } from '@millrace/protocol'

export interface Notifier {
  /** `seen` is the head of the log by what this engine has heard of it, if it has. */
  watch(log: string, bell: () => void, seen: Position | undefined): () => void
  /** A log has come as far as `head`; 0 says that it has ended, or has a new epoch. */
  notify(log: string, head: number): void
  /** How far a log has come by what was rung for. A page that ends before MUST NOT say that the log does: nobody rings again. */
  notifiedHead(log: string): number
  /** Readers are told that a log has come no further, whatever was rung for: when it has, it is to be rung for again. */
  resetNotifiedHead(log: string, head: number): void
  readonly watched: Iterable<string>
  /** Whether every append to a log, by whomever, is heard from now on. */
  isSubscribed(log: string): boolean
  /** It can hear, for the first time or again; what was rung meanwhile was heard by nobody. */
  connected(): void
  close(): void
}

export interface NotifierOptions {
  /** Begins to hear of a log, and resolves when it does with what ends it; rejects where it is not connected. */
  readonly subscribe: (log: string, onMessage: (head: number) => void) => Promise<() => void>
  /** The head of a log now; undefined where there is none. */
  readonly headOf: (log: string) => Promise<Position | undefined>
}

/** Before the head of a log is asked for again. */
const pauseMs = 200

interface Watched {
  readonly watchers: Set<() => void>
  /** What has been rung for: the engine's own appends are heard twice. */
  head: number
  state: 'deaf' | 'asking' | 'hearing'
  silence: (() => void) | undefined
}

export function createNotifier({ subscribe, headOf }: NotifierOptions): Notifier {
  const logs = new Map<string, Watched>()
  let wasConnected = false

  return {
    watch(log, bell, seen) {
      // A wrapper of its own, so that the same function can watch twice and each watch ends alone.
      const watcher = () => bell()
      const watched: Watched = logs.get(log) ?? {
        watchers: new Set(),
        head: seen?.offset ?? 0,
        state: 'deaf',
        silence: undefined,
      }
      watched.watchers.add(watcher)
      if (!logs.has(log)) {
        logs.set(log, watched)
        void begin(log, watched, seen)
      }
      return () => {
        if (!watched.watchers.delete(watcher) || watched.watchers.size > 0) return
        logs.delete(log)
        watched.silence?.()
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
    isSubscribed: (log) => logs.get(log)?.state === 'hearing',
    connected() {
      for (const [log, watched] of logs) {
        if (watched.state === 'deaf') void begin(log, watched)
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
    if (watched.state !== 'deaf') return
    watched.state = 'asking'
    try {
      const silence = await subscribe(log, (head) => notify(log, head))
      watched.state = 'hearing'
      watched.silence = silence
      if (logs.get(log) !== watched) return silence()
    } catch {
      // Not connected: the next connection asks anew.
      watched.state = 'deaf'
      return
    }
    // What was appended before it could hear has rung no bell here.
    while (logs.get(log) === watched) {
      try {
        const head = await headOf(log)
        const isSame = seen === undefined || seen.epoch === head?.epoch
        const offset = head?.offset ?? 0
        if (isSame && offset === watched.head) return
        // What comes behind it is heard.
        watched.head = isSame ? Math.max(watched.head, offset) : offset
        return notifyAll(watched)
      } catch {
        // Mostly it has waited as long as it does for one that does not answer; a log that is damaged is refused at once.
        await new Promise((resolve) => setTimeout(resolve, pauseMs).unref())
      }
    }
  }
}

function notifyAll({ watchers }: Watched): void {
  for (const watcher of watchers) watcher()
}
