/** The sessions as the events of the catalog describe them, in the order of their last use: all, and those of each owner. Pure. */
import type { LogEvent } from '../log/log.ts'
import { type Place, Places } from './places.ts'

export interface Entry {
  /** Of the event that recorded the last use: the list's order. A snapshot keeps it. */
  readonly offset: number
  readonly createdAt: number
  readonly updatedAt: number
  /** Changes when the session is renamed. */
  readonly titledAt?: number
  /** Absent for a session of nobody. */
  readonly owner?: string
}

interface StoredEntry extends Entry {
  /** Offset of the newest event in the log that contains the session. */
  readonly at: number
}

export type CatalogSnapshot = readonly [session: string, offset: number, createdAt: number, updatedAt: number, owner?: string]
export type CatalogEvent =
  | { readonly session: string; readonly owner?: string; readonly deleted?: true; readonly titled?: true }
  | { readonly again: readonly CatalogSnapshot[] }

/** Sessions in the list; beyond it those used longest ago are not listed. */
const sessionsMax = 100_000
/** More are evicted at once, so that it is done rarely. */
const evictedExtra = 1000

export class CatalogView {
  readonly #entries = new Map<string, StoredEntry>()
  readonly #isCurrent = ({ session, offset }: Place) => this.#entries.get(session)?.offset === offset
  #all = new Places(this.#isCurrent)
  readonly #owned = new Map<string, Places>()
  /** Those of `#owned` to which something was added since they were tidied. */
  readonly #changed = new Set<Places>()

  get(session: string): Entry | undefined {
    return this.#entries.get(session)
  }

  /** There is no such session any more. It is listed again when it is used again. */
  drop(session: string): void {
    this.#entries.delete(session)
  }

  clear(): void {
    this.#entries.clear()
    this.#all = new Places(this.#isCurrent)
    this.#owned.clear()
    this.#changed.clear()
  }

  /** Sessions used before an offset, of one owner or all, the last used first. */
  newest(before: number, count: number, owner?: string): (readonly [session: string, entry: Entry])[] {
    const places = owner === undefined ? this.#all : this.#owned.get(owner)
    if (places === undefined) return []
    return places.before(before, count).map(({ session }) => [session, this.#entries.get(session) as Entry])
  }

  /** Snapshots of the sessions whose newest event is at or before an offset. */
  snapshotsUntil(offset: number): CatalogSnapshot[] {
    return [...this.#entries]
      .filter(([, { at }]) => at <= offset)
      .map(
        ([id, { offset: of, createdAt, updatedAt, owner }]): CatalogSnapshot =>
          owner === undefined ? [id, of, createdAt, updatedAt] : [id, of, createdAt, updatedAt, owner],
      )
  }

  apply({ data, offset, time }: LogEvent): void {
    const event = data as CatalogEvent
    if ('again' in event) {
      for (const snapshot of event.again) this.#applySnapshot(snapshot, offset)
      return
    }
    const { session, owner } = event
    const known = this.#entries.get(session)
    if (event.titled) {
      if (known !== undefined) this.#entries.set(session, { ...known, titledAt: offset })
    } else if (event.deleted) this.#entries.delete(session)
    else {
      const times = { createdAt: known?.createdAt ?? time, updatedAt: time }
      this.#place(session, { ...known, ...(owner !== undefined && { owner }), offset, at: offset, ...times })
    }
  }

  /** MUST be called after events were applied, before `newest`. */
  tidy(): void {
    let isPruned = this.#all.tidy()
    if (this.#entries.size > sessionsMax) {
      for (const { session } of this.#all.evict(this.#entries.size - sessionsMax + evictedExtra)) this.#entries.delete(session)
      isPruned = true
    }
    for (const places of this.#changed) places.tidy()
    this.#changed.clear()
    if (isPruned) this.#pruneOwned()
  }

  #pruneOwned(): void {
    for (const [owner, places] of this.#owned) {
      places.prune()
      if (places.isEmpty) this.#owned.delete(owner)
    }
  }

  #applySnapshot([session, offset, createdAt, updatedAt, owner]: CatalogSnapshot, at: number): void {
    const known = this.#entries.get(session)
    if (known !== undefined) {
      this.#entries.set(session, { ...known, at, createdAt })
      return
    }
    // Its place in the order is that of the original event, which retention may have deleted.
    this.#place(session, { offset, at, createdAt, updatedAt, ...(owner !== undefined && { owner }) })
  }

  #place(session: string, entry: StoredEntry): void {
    const place = { session, offset: entry.offset }
    this.#entries.set(session, entry)
    this.#all.add(place)
    if (entry.owner === undefined) return
    const places = this.#owned.get(entry.owner) ?? new Places(this.#isCurrent)
    places.add(place)
    this.#owned.set(entry.owner, places)
    this.#changed.add(places)
  }
}
