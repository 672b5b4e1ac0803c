/**
 * Which sessions there are: a view over a log of its own, in which each run leaves the id of its session, so that every
 * server has the same one. The log is bounded as any other; what would soon be gone from it, though its session is not,
 * is said again, many sessions in one event. Whoever says it does no harm if another has said it too.
 */
import { type Json, MillraceError } from '@millrace/protocol'
import { isDamaged } from '../log/doubts.ts'
import type { Engine, LogEvent } from '../log/log.ts'

export interface Entry {
  /** Of the event in which it was used last: the order of the list, wherever that was said. */
  readonly offset: number
  readonly createdAt: number
  readonly updatedAt: number
}

export interface Catalog {
  /** A run begins in a session. */
  note(session: string): Promise<void>
  noteDeleted(session: string): Promise<void>
  /** In the order of their last use. */
  read(): Promise<ReadonlyMap<string, Entry>>
  /** There is no such session any more; should it be used again, it is entered again. */
  drop(session: string): void
}

/** Where it was last said in the log. */
interface Known extends Entry {
  readonly at: number
}

type SaidAgain = readonly [session: string, offset: number, createdAt: number, updatedAt: number]
type Said = { readonly session: string; readonly deleted?: true } | { readonly again: readonly SaidAgain[] }

/** No name of a session or channel: nobody reads or writes it from outside. */
const catalog = 'catalog/sessions'
const unread = { epoch: '', offset: 0 }
/**
 * After so many events the older half of the log is looked through. Half of what a log keeps MUST be more than that,
 * and what is said at once on top: what was just not old enough would be gone before the next time.
 */
const renewAfter = 128
const saidAtOnce = 200
/** Sessions that are listed; beyond it those used longest ago are not. */
const sessionsMax = 100_000

export function createCatalog(store: Engine, onError: (error: unknown) => void): Catalog {
  let entries = new Map<string, Known>()
  let isInOrder = true
  let position = unread
  let start = 0
  let reading: Promise<void> | undefined

  return {
    note: (session) => append({ session }),
    noteDeleted: (session) => append({ session, deleted: true }),
    read,
    drop: (session) => void entries.delete(session),
  }

  async function append(said: Said): Promise<void> {
    const { position } = await orAnew(() => store.append(catalog, [{ type: 'session', data: said as unknown as Json }]))
    // Whichever server comes upon it, with whatever it says: one in so many does.
    if (position.offset % renewAfter === 0) await renew()
  }

  async function read(): Promise<ReadonlyMap<string, Known>> {
    await catchUp()
    if (!isInOrder) entries = new Map([...entries].sort(([, a], [, b]) => a.offset - b.offset))
    isInOrder = true
    for (const session of entries.keys()) {
      if (entries.size <= sessionsMax) break
      entries.delete(session)
    }
    return entries
  }

  /** Also of sessions that retention has taken since: to look at each would be to have all of them read. */
  async function renew(): Promise<void> {
    const all = [...(await read())]
    const middle = (start + position.offset) / 2
    const old = all.filter(([, { at }]) => at <= middle)
    for (let index = 0; index < old.length; index += saidAtOnce) {
      const some = old.slice(index, index + saidAtOnce)
      await append({ again: some.map(([id, { offset, createdAt, updatedAt }]): SaidAgain => [id, offset, createdAt, updatedAt]) })
    }
  }

  function catchUp(): Promise<void> {
    const readAgain = () => orAnew(readOn)
    const next = (reading ?? Promise.resolve()).then(readAgain, readAgain)
    reading = next
    return next
  }

  async function readOn(): Promise<void> {
    const state = await store.inspect(catalog)
    if (state?.head.epoch !== position.epoch) {
      entries = new Map()
      position = state?.start ?? unread
    }
    if (state === undefined) return
    start = state.start.offset
    while (position.offset < state.head.offset) {
      const page = await store.read(catalog, position, { eventsMax: 2048 })
      for (const event of page.events) apply(event)
      position = page.position
    }
  }

  /** Begins anew where it is damaged: without a list nobody would find anything, and each session is entered when it is used. */
  async function orAnew<T>(act: () => Promise<T>): Promise<T> {
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
    const said = data as Said
    if ('again' in said) {
      for (const each of said.again) applyAgain(each, offset)
      return
    }
    const createdAt = entries.get(said.session)?.createdAt ?? time
    // Set again, it is the last.
    entries.delete(said.session)
    if (!said.deleted) entries.set(said.session, { offset, at: offset, createdAt, updatedAt: time })
  }

  function applyAgain([session, offset, createdAt, updatedAt]: SaidAgain, at: number): void {
    const known = entries.get(session)
    // Its place in the order is that of the event that said it first, which may be gone.
    if (known === undefined) isInOrder = false
    const newest = known ?? { offset, updatedAt }
    entries.set(session, { offset: newest.offset, at, createdAt, updatedAt: newest.updatedAt })
  }
}
