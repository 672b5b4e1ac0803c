/** The bells of the logs that are watched here: one sharded subscription for each, which carries no event. */
import type { Position } from '@millrace/protocol'
import type { Client } from './connection.ts'

export interface Bells {
  /** `seen` is the head of the log by what this engine has heard of it, if it has. */
  watch(log: string, bell: () => void, seen: Position | undefined): () => void
  /** A log has come as far as `head`; 0 says that it has ended, or has a new epoch. */
  ring(log: string, head: number): void
  readonly watched: Iterable<string>
  close(): void
}

export interface BellsOptions {
  readonly client: Client
  readonly channelOf: (log: string) => string
  /** The head of a log now; undefined where there is none. */
  readonly headOf: (log: string) => Promise<Position | undefined>
}

interface Watched {
  readonly ringers: Set<() => void>
  /** What has been rung for: the engine's own appends are heard twice. */
  head: number
  isSubscribed: boolean
}

export function createBells({ client, channelOf, headOf }: BellsOptions): Bells {
  const logs = new Map<string, Watched>()
  // The socket tells its troubles to `error`; it comes back by itself, and so do its subscriptions.
  client.on('error', () => {})
  client.on('ready', () => {
    for (const [log, watched] of logs) {
      // What was rung while it was away was heard by nobody.
      if (watched.isSubscribed) ringAll(watched)
      else void subscribe(log, watched)
    }
  })
  client.connect().catch(() => {})

  return {
    watch(log, bell, seen) {
      // A wrapper of its own, so that the same function can watch twice and each watch ends alone.
      const ringer = () => bell()
      const watched = logs.get(log) ?? { ringers: new Set(), head: seen?.offset ?? 0, isSubscribed: false }
      watched.ringers.add(ringer)
      if (!logs.has(log)) {
        logs.set(log, watched)
        if (client.isReady) void subscribe(log, watched, seen)
      }
      return () => {
        if (!watched.ringers.delete(ringer) || watched.ringers.size > 0) return
        logs.delete(log)
        if (watched.isSubscribed) client.sUnsubscribe(channelOf(log)).catch(() => {})
      }
    },
    ring,
    get watched() {
      return logs.keys()
    },
    close() {
      logs.clear()
      if (client.isOpen) client.destroy()
    },
  }

  function ring(log: string, head: number): void {
    const watched = logs.get(log)
    if (watched === undefined || (head > 0 && head <= watched.head)) return
    watched.head = head
    ringAll(watched)
  }

  async function subscribe(log: string, watched: Watched, seen?: Position): Promise<void> {
    watched.isSubscribed = true
    try {
      await client.sSubscribe(channelOf(log), (head) => ring(log, Number(head)))
    } catch {
      // Cut off again: the next `ready` asks for it anew.
      watched.isSubscribed = false
      return
    }
    // What was appended before it could hear has rung no bell here.
    while (logs.get(log) === watched) {
      try {
        const head = await headOf(log)
        const isSame = seen === undefined || seen.epoch === head?.epoch
        if (!isSame || (head?.offset ?? 0) !== watched.head) ringAll(watched)
        return
      } catch {
        // It has waited as long as it does for a Redis that does not answer: now once more.
      }
    }
  }
}

function ringAll({ ringers }: Watched): void {
  for (const ringer of ringers) ringer()
}
