/**
 * Does what is due in all subscriptions though nobody calls: retries, leases that end, and appends for which a server died before
 * it had made a wake. The first server that gets to it does it.
 */
import type { Engine } from '../../../log/log.ts'
import { createKnown, type KnownSubscription } from './known.ts'
import { changesLog, keepSubscription } from './subscription-log.ts'
import { ignoreMissing, type Wakes } from './wakes.ts'

export interface WatchingOptions {
  readonly engine: Engine
  readonly wakes: Pick<Wakes, 'noteAppend' | 'noteDelete' | 'goOn'>
  /** Writes again what retention would remove. */
  readonly keep: () => Promise<void>
  /** Aborts when the server stops. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
  readonly now: () => number
}

/** After a change to a stream. Neither rejects: the change was acknowledged, and what failed is found later. */
export interface Watching {
  noteAppend(path: string): Promise<void>
  noteDelete(path: string): Promise<void>
  /** Subscriptions that there are. */
  count(): Promise<number>
}

/** A lease is at least a second long. */
const tickMs = 500
/** A notification may be lost with the connection to the engine. */
const refreshMs = 15_000
const checkMs = 60_000

export function startWatching({ engine, wakes, keep, signal, onError, now }: WatchingOptions): Watching {
  const known = createKnown(engine)
  let mayHaveChanged = true
  let refreshedAt = 0
  let checkedAt = 0
  let isBusy = false

  const unwatch = engine.watch(changesLog, () => {
    mayHaveChanged = true
  })
  const timer = setInterval(() => void tick(), tickMs).unref()
  signal.addEventListener('abort', () => {
    clearInterval(timer)
    unwatch()
    known.close()
  })
  return {
    noteAppend: (path) => eachWith(path, ({ id }) => wakes.noteAppend(id, path)),
    noteDelete: (path) => eachWith(path, ({ id }) => wakes.noteDelete(id, path)),
    count: async () => (await known.read()).length,
  }

  async function eachWith(path: string, act: (each: KnownSubscription) => Promise<void>): Promise<void> {
    try {
      for (const each of await known.read()) if (each.has(path)) await attempt(each, () => act(each))
    } catch (error) {
      report(error)
    }
  }

  async function tick(): Promise<void> {
    if (isBusy) return
    isBusy = true
    try {
      if (mayHaveChanged || now() - refreshedAt >= refreshMs) await refresh()
      for (const each of known.last) if (each.isStale) await attempt(each, () => known.refreshDue(each))
      for (const each of known.last) if (each.dueAt <= now()) await attempt(each, () => goOn(each))
      if (now() - checkedAt >= checkMs) await checkAll()
    } catch (error) {
      report(error)
    } finally {
      isBusy = false
    }
  }

  async function refresh(): Promise<void> {
    mayHaveChanged = false
    refreshedAt = now()
    for (const each of await known.read()) each.isStale = true
  }

  async function goOn(each: KnownSubscription): Promise<void> {
    await wakes.goOn(each.id)
    await known.refreshDue(each)
  }

  async function checkAll(): Promise<void> {
    checkedAt = now()
    await keep()
    for (const each of known.last)
      await attempt(each, async () => {
        await keepSubscription(engine, each.id, now())
        await goOn(each)
      })
  }

  /** An error of one subscription leaves the others alone. */
  async function attempt(each: KnownSubscription, act: () => Promise<void>): Promise<void> {
    try {
      await act().catch(ignoreMissing)
    } catch (error) {
      each.isStale = true
      report(error)
    }
  }

  function report(error: unknown): void {
    if (!signal.aborted) onError(error)
  }
}
