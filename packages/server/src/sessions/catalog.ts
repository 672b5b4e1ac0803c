/**
 * Which sessions there are: a view over a log of its own, in which each run leaves the id of its session, so that every
 * server has the same one. The log is bounded as any other; what would soon be gone from it, though its session is not,
 * is said again, many sessions in one event. Whoever says it does no harm if another has said it too.
 */
import { type Json, MillraceError } from '@millrace/protocol'
import type { Engine, LogEvent } from '../log/log.ts'
import { isDamaged } from '../log/quarantine.ts'
import { coalesce } from '../runs/coalesce.ts'

export interface Entry {
  /** Of the event in which it was used last: the order of the list, wherever that was said. */
  readonly offset: number
  readonly createdAt: number
  readonly updatedAt: number
  /** Changes when it is renamed. */
  readonly titledAt?: number
}

export interface Catalog {
  /** A run begins in a session. */
  note(session: string): Promise<void>
  noteDeleted(session: string): Promise<void>
  /** It has another title. */
  noteTitled(session: string): Promise<void>
  /** What follows knows of all that was noted before this was called. */
  refresh(): Promise<void>
  get(session: string): Entry | undefined
  /** So many of those used before an offset, the one used last first. */
  newest(before: number, count: number): (readonly [session: string, entry: Entry])[]
  /** There is no such session any more; should it be used again, it is entered again. */
  drop(session: string): void
}

/** Where it was last said in the log. */
interface Known extends Entry {
  readonly at: number
}

type CatalogSnapshot = readonly [session: string, offset: number, createdAt: number, updatedAt: number]
type CatalogEvent =
  | { readonly session: string; readonly deleted?: true; readonly titled?: true }
  | { readonly again: readonly CatalogSnapshot[] }

interface Place {
  readonly session: string
  readonly offset: number
}

/** No name of a session or channel: nobody reads or writes it from outside. */
const catalog = 'catalog/sessions'
const unread = { epoch: '', offset: 0 }
/**
 * After so many events the older half of the log is looked through. Half of what a log keeps MUST be more than that,
 * and what is said at once on top: what was just not old enough would be gone before the next time.
 */
const resnapshotAfter = 128
const snapshotSize = 200
/** Sessions that are listed; beyond it those used longest ago are not. */
const sessionsMax = 100_000
/** So many more go at once, so that this is done once in a while. */
const spare = 1000

export function createCatalog(store: Engine, onError: (error: unknown) => void): Catalog {
  const entries = new Map<string, Known>()
  /** By offset, once they are in order; a place that is not its session's newest any more is passed over. */
  let places: Place[] = []
  let isInOrder = true
  let position = unread
  let start = 0
  const readOnce = coalesce(() => resetIfDamaged(readOn))
  const refresh = () => readOnce(catalog)

  return {
    note: (session) => append({ session }),
    noteDeleted: (session) => append({ session, deleted: true }),
    noteTitled: (session) => append({ session, titled: true }),
    refresh,
    get: (session) => entries.get(session),
    newest(before, count) {
      const found: (readonly [string, Entry])[] = []
      for (let at = findPlace(before) - 1; at >= 0 && found.length < count; at--) {
        const place = places[at] as Place
        const entry = entryAt(place)
        if (entry !== undefined) found.push([place.session, entry])
      }
      return found
    },
    drop: (session) => void entries.delete(session),
  }

  async function append(said: CatalogEvent): Promise<void> {
    const { position } = await resetIfDamaged(() => store.append(catalog, [{ type: 'session', data: said as unknown as Json }]))
    // Whichever server comes upon it, with whatever it says: one in so many does.
    if (position.offset % resnapshotAfter === 0) await resnapshot()
  }

  function entryAt({ session, offset }: Place): Known | undefined {
    const entry = entries.get(session)
    return entry?.offset === offset ? entry : undefined
  }

  /** The first place at this offset or behind it. */
  function findPlace(offset: number): number {
    let low = 0
    let high = places.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((places[middle]?.offset ?? 0) < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  function tidy(): void {
    const isLong = places.length > 2 * entries.size + 1000
    if (isInOrder && !isLong && entries.size <= sessionsMax) return
    places = places.filter((place) => entryAt(place) !== undefined)
    if (!isInOrder) places.sort((a, b) => a.offset - b.offset)
    isInOrder = true
    if (entries.size <= sessionsMax) return
    for (const { session } of places.splice(0, entries.size - sessionsMax + spare)) entries.delete(session)
  }

  /** Also of sessions that retention has taken since: to look at each would be to have all of them read. */
  async function resnapshot(): Promise<void> {
    await refresh()
    const middle = (start + position.offset) / 2
    const old = [...entries].filter(([, { at }]) => at <= middle)
    for (let index = 0; index < old.length; index += snapshotSize) {
      const some = old.slice(index, index + snapshotSize)
      await append({
        again: some.map(([id, { offset, createdAt, updatedAt }]): CatalogSnapshot => [id, offset, createdAt, updatedAt]),
      })
    }
  }

  async function readOn(): Promise<void> {
    const state = await store.inspect(catalog)
    if (state?.head.epoch !== position.epoch) {
      entries.clear()
      places = []
      position = state?.start ?? unread
    }
    if (state === undefined) return
    start = state.start.offset
    while (position.offset < state.head.offset) {
      const page = await store.read(catalog, position, { eventsMax: 2048 })
      for (const event of page.events) apply(event)
      position = page.position
    }
    tidy()
  }

  /** Begins anew where it is damaged: without a list nobody would find anything, and each session is entered when it is used. */
  async function resetIfDamaged<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (cause) {
      if (!isDamaged(cause)) throw cause
      await store.delete(catalog)
      const message = 'The list of sessions was damaged and begins anew: each is listed again when it is used.'
      onError(new MillraceError('log_damaged', { message, cause }))
      return act()
    }
  }

  function apply({ data, offset, time }: LogEvent): void {
    const said = data as CatalogEvent
    if ('again' in said) {
      for (const each of said.again) applyAgain(each, offset)
      return
    }
    const { session } = said
    const known = entries.get(session)
    if (said.titled) {
      if (known !== undefined) entries.set(session, { ...known, titledAt: offset })
    } else if (said.deleted) entries.delete(session)
    else place(session, { ...known, offset, at: offset, createdAt: known?.createdAt ?? time, updatedAt: time })
  }

  function place(session: string, entry: Known): void {
    entries.set(session, entry)
    places.push({ session, offset: entry.offset })
  }

  function applyAgain([session, offset, createdAt, updatedAt]: CatalogSnapshot, at: number): void {
    const known = entries.get(session)
    if (known !== undefined) {
      entries.set(session, { ...known, at, createdAt })
      return
    }
    // Its place in the order is that of the event that said it first, which may be gone.
    isInOrder = false
    place(session, { offset, at, createdAt, updatedAt })
  }
}
