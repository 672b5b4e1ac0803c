/**
 * An event-sourced list of sessions: each run appends the id of its session to one log, so that every server has the same
 * list. That log is bounded as any other. Entries about to be trimmed are re-appended as snapshots, many in one event;
 * doing so twice is harmless.
 */
import { type Json, MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import { isDamaged } from '../log/quarantine.ts'
import { coalesce } from '../runs/coalesce.ts'
import { type CatalogEvent, CatalogView, type Entry } from './catalog-view.ts'

/** Not the name of a session or a channel: no client can read or write it. */
const catalogLog = 'catalog/sessions'
const beforeFirstRead = { epoch: '', offset: 0 }
/**
 * Entries of the log's older half are re-appended after this number of events. Half of what a log keeps MUST be larger than
 * it, and a snapshot on top: otherwise an entry in the newer half would be trimmed before the next time.
 */
const resnapshotAfter = 128
const snapshotSize = 200

export class Catalog {
  readonly #store: Engine
  readonly #onError: (error: unknown) => void
  readonly #view = new CatalogView()
  readonly #readOnce = coalesce(() => this.#resetIfDamaged(() => this.#readOn()))
  #position = beforeFirstRead
  #startOffset = 0

  constructor(store: Engine, onError: (error: unknown) => void) {
    this.#store = store
    this.#onError = onError
  }

  /** A run starts in a session. Without an owner it keeps the one that it had. */
  noteUsed(session: string, owner?: string): Promise<void> {
    return this.#append({ session, ...(owner !== undefined && { owner }) })
  }

  noteDeleted(session: string): Promise<void> {
    return this.#append({ session, deleted: true })
  }

  /** The session was renamed. */
  noteTitled(session: string): Promise<void> {
    return this.#append({ session, titled: true })
  }

  /** Once it resolves, `get` and `newest` include everything noted before the call, by any server. */
  refresh(): Promise<void> {
    return this.#readOnce(catalogLog)
  }

  get(session: string): Entry | undefined {
    return this.#view.get(session)
  }

  /** Sessions used before an offset, of one owner or all, the last used first. */
  newest(before: number, count: number, owner?: string): (readonly [session: string, entry: Entry])[] {
    return this.#view.newest(before, count, owner)
  }

  /** There is no such session any more. It is listed again when it is used again. */
  drop(session: string): void {
    this.#view.drop(session)
  }

  async #append(event: CatalogEvent): Promise<void> {
    const events = [{ type: 'session', data: event as unknown as Json }]
    const { position } = await this.#resetIfDamaged(() => this.#store.append(catalogLog, events))
    // The offset decides which of the servers does it.
    if (position.offset % resnapshotAfter === 0) await this.#resnapshot()
  }

  /** Includes sessions that retention has deleted since: checking each would have all of them read. */
  async #resnapshot(): Promise<void> {
    await this.refresh()
    const old = this.#view.snapshotsUntil((this.#startOffset + this.#position.offset) / 2)
    for (let index = 0; index < old.length; index += snapshotSize)
      await this.#append({ again: old.slice(index, index + snapshotSize) })
  }

  async #readOn(): Promise<void> {
    const state = await this.#store.inspect(catalogLog)
    if (state?.head.epoch !== this.#position.epoch) {
      this.#view.clear()
      this.#position = state?.start ?? beforeFirstRead
    }
    if (state === undefined) return
    this.#startOffset = state.start.offset
    while (this.#position.offset < state.head.offset) {
      const page = await this.#store.read(catalogLog, this.#position, { eventsMax: 2048 })
      for (const event of page.events) this.#view.apply(event)
      this.#position = page.position
    }
    this.#view.tidy()
  }

  /** Deletes a damaged list: without a new one no session could be found, and each is listed again when it is used. */
  async #resetIfDamaged<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (cause) {
      if (!isDamaged(cause)) throw cause
      await this.#store.delete(catalogLog)
      const message = 'The list of sessions was damaged and was deleted. Each session is listed again when it is used.'
      this.#onError(new MillraceError('log_damaged', { message, cause }))
      return act()
    }
  }
}
