/** The sessions as the events of the catalog describe them, ordered by their last use. Pure. */
import type { LogEvent } from '../log/log.ts'

export interface Entry {
  /** Of the event that recorded the last use: the list's order. A snapshot keeps it. */
  readonly offset: number
  readonly createdAt: number
  readonly updatedAt: number
  /** Changes when the session is renamed. */
  readonly titledAt?: number
}

interface StoredEntry extends Entry {
  /** Offset of the newest event in the log that contains the session. */
  readonly at: number
}

export type CatalogSnapshot = readonly [session: string, offset: number, createdAt: number, updatedAt: number]
export type CatalogEvent =
  | { readonly session: string; readonly deleted?: true; readonly titled?: true }
  | { readonly again: readonly CatalogSnapshot[] }

interface Place {
  readonly session: string
  readonly offset: number
}

/** Sessions in the list; beyond it those used longest ago are not listed. */
const sessionsMax = 100_000
/** More are evicted at once, so that it is done rarely. */
const evictedExtra = 1000

export class CatalogView {
  readonly #entries = new Map<string, StoredEntry>()
  /** Ordered by offset once sorted. A place that is not its session's newest is skipped. */
  #places: Place[] = []
  #isSorted = true

  get(session: string): Entry | undefined {
    return this.#entries.get(session)
  }

  /** There is no such session any more. It is listed again when it is used again. */
  drop(session: string): void {
    this.#entries.delete(session)
  }

  clear(): void {
    this.#entries.clear()
    this.#places = []
  }

  /** Sessions used before an offset, the last used first. */
  newest(before: number, count: number): (readonly [session: string, entry: Entry])[] {
    const found: (readonly [string, Entry])[] = []
    for (let at = this.#findPlace(before) - 1; at >= 0 && found.length < count; at--) {
      const place = this.#places[at] as Place
      const entry = this.#entryAt(place)
      if (entry !== undefined) found.push([place.session, entry])
    }
    return found
  }

  /** Snapshots of the sessions whose newest event is at or before an offset. */
  snapshotsUntil(offset: number): CatalogSnapshot[] {
    return [...this.#entries]
      .filter(([, { at }]) => at <= offset)
      .map(([id, entry]) => [id, entry.offset, entry.createdAt, entry.updatedAt])
  }

  apply({ data, offset, time }: LogEvent): void {
    const event = data as CatalogEvent
    if ('again' in event) {
      for (const snapshot of event.again) this.#applySnapshot(snapshot, offset)
      return
    }
    const { session } = event
    const known = this.#entries.get(session)
    if (event.titled) {
      if (known !== undefined) this.#entries.set(session, { ...known, titledAt: offset })
    } else if (event.deleted) this.#entries.delete(session)
    else this.#place(session, { ...known, offset, at: offset, createdAt: known?.createdAt ?? time, updatedAt: time })
  }

  /** MUST be called after events were applied, before `newest`. */
  tidy(): void {
    const isLong = this.#places.length > 2 * this.#entries.size + 1000
    if (this.#isSorted && !isLong && this.#entries.size <= sessionsMax) return
    this.#places = this.#places.filter((place) => this.#entryAt(place) !== undefined)
    if (!this.#isSorted) this.#places.sort((a, b) => a.offset - b.offset)
    this.#isSorted = true
    if (this.#entries.size <= sessionsMax) return
    const evicted = this.#places.splice(0, this.#entries.size - sessionsMax + evictedExtra)
    for (const { session } of evicted) this.#entries.delete(session)
  }

  #applySnapshot([session, offset, createdAt, updatedAt]: CatalogSnapshot, at: number): void {
    const known = this.#entries.get(session)
    if (known !== undefined) {
      this.#entries.set(session, { ...known, at, createdAt })
      return
    }
    // Its place in the order is that of the original event, which retention may have deleted.
    this.#isSorted = false
    this.#place(session, { offset, at, createdAt, updatedAt })
  }

  #place(session: string, entry: StoredEntry): void {
    this.#entries.set(session, entry)
    this.#places.push({ session, offset: entry.offset })
  }

  #entryAt({ session, offset }: Place): StoredEntry | undefined {
    const entry = this.#entries.get(session)
    return entry?.offset === offset ? entry : undefined
  }

  /** Index of the first place at or after this offset. */
  #findPlace(offset: number): number {
    let low = 0
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#places[middle]?.offset ?? 0) < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
