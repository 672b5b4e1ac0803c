/** The logs of one folder: the calls of the engine, as requests to its thread. */
import { MillraceError, type Position } from '@millrace/protocol'
import type { Appended, AppendOptions, LogEvent, LogState, NewEvent, Page, ReadOptions } from '../../log/log.ts'
import { namesMax } from '../../log/names.ts'
import { fromStored, type StoredEvent, toStored } from '../shared/packing.ts'
import { readBounds } from '../shared/read-bounds.ts'
import { createRecentEvents } from '../shared/recent-events.ts'
import { Watchers } from '../shared/watchers.ts'
import { toBatch } from './batch-text.ts'
import { logDamaged } from './errors.ts'
import type { Answer, Limits, Request } from './requests.ts'
import { Thread } from './thread.ts'

export interface SqliteLogsOptions {
  readonly folder: string
  readonly limits: Limits
  readonly timeoutMs: number
  readonly onLoss: (warning: string) => void
}

export class SqliteLogs {
  readonly #options: SqliteLogsOptions
  readonly #watchers = new Watchers()
  readonly #recent = createRecentEvents()
  readonly #thread: Thread
  readonly #sweeper: ReturnType<typeof setInterval>
  #closing: Promise<void> | undefined

  constructor(options: SqliteLogsOptions) {
    this.#options = options
    const { folder, limits, timeoutMs } = options
    this.#thread = new Thread({
      folder,
      limits,
      timeoutMs,
      // Its caller got an error, so it has notified nobody of its append or deletion.
      onLate: (request) => 'log' in request && this.#invalidate(request.log),
      onWarning: (warning) => this.#onWarning(warning),
    })
    this.#sweeper = setInterval(() => void this.#sweep(), Math.min(60_000, Math.max(10, limits.ageMsMax / 4)))
    this.#sweeper.unref()
  }

  async append(log: string, events: readonly NewEvent[], options: AppendOptions = {}): Promise<Appended> {
    const { epoch: wanted, key, unless, expect, keep } = options
    const batch = toBatch(events.map(({ type, data }) => ({ type, data: toStored(data) })))
    const request = { op: 'append', log, epoch: wanted, key, unless, expect, keep, batch, now: Date.now() } as const
    const answer = await this.#append(request)
    const { epoch = '', head = 0, start = 0, time = 0, duplicate = false } = answer
    if (!duplicate) {
      this.#recent.push(log, { epoch, head, start, time, events })
      if (events.length > 0) this.#watchers.notify(log)
    }
    return { position: { epoch, offset: head }, duplicate }
  }

  async read(log: string, after: Position, options?: ReadOptions): Promise<Page> {
    if (this.#closing !== undefined) throw new MillraceError('server_stopping')
    const bounds = readBounds(options)
    const now = Date.now()
    const cached = this.#recent.read(log, after, { ...bounds, oldest: now - this.#options.limits.ageMsMax })
    if (cached !== undefined) return cached
    const answer = await this.#ask({ op: 'read', log, ...after, ...bounds, now })
    const { epoch = '', start = 0, head = 0, events: stored = [] } = answer
    const at = (offset: number): Position => ({ epoch, offset })
    const events = this.#parse(log, stored)
    const page = { events, position: at(events.at(-1)?.offset ?? start), head: at(head) }
    return start === after.offset ? page : { ...page, gap: { from: after, to: at(start) } }
  }

  peek(log: string, after: Position, options?: ReadOptions): Page | undefined {
    const oldest = Date.now() - this.#options.limits.ageMsMax
    return this.#closing === undefined ? this.#recent.peek(log, after, { ...readBounds(options), oldest }) : undefined
  }

  async inspect(log: string): Promise<LogState | undefined> {
    const { epoch, start = 0, head = 0 } = await this.#ask({ op: 'inspect', log, now: Date.now() })
    return epoch === undefined ? undefined : { start: { epoch, offset: start }, head: { epoch, offset: head } }
  }

  async list(prefix: string, after = ''): Promise<readonly string[]> {
    const { names = [] } = await this.#ask({ op: 'list', prefix, after, namesMax })
    return names
  }

  watch(log: string, bell: () => void): () => void {
    return this.#watchers.watch(log, bell)
  }

  async compact(log: string): Promise<void> {
    // In steps, so that appends do not wait for long.
    let after: number | undefined = 0
    while (this.#closing === undefined && after !== undefined) after = (await this.#ask({ op: 'compact', log, after })).next
  }

  async delete(log: string): Promise<boolean> {
    const { existed = false } = await this.#ask({ op: 'delete', log })
    if (existed) this.#invalidate(log)
    return existed
  }

  close(): Promise<void> {
    clearInterval(this.#sweeper)
    this.#watchers.clear()
    this.#closing ??= this.#thread.close()
    return this.#closing
  }

  #ask(request: Request): Promise<Answer> {
    return this.#closing === undefined ? this.#thread.ask(request) : Promise.reject(new MillraceError('server_stopping'))
  }

  /** Loops, because another append may take the room that was made. */
  async #append(request: Extract<Request, { op: 'append' }>): Promise<Answer> {
    for (;;) {
      const answer = await this.#ask(request)
      if (answer.bytesOver === undefined) return answer
      const spare = [request.log, ...this.#watchers.logs]
      const { removed = [] } = await this.#ask({ op: 'makeRoom', bytes: answer.bytesOver, spare })
      if (removed.length === 0) {
        const message = `The engine has reached its limit of ${this.#options.limits.totalBytesMax} bytes; try again later.`
        throw new MillraceError('log_full', { message })
      }
      for (const log of removed) this.#invalidate(log)
    }
  }

  #onWarning(warning: string): void {
    // The file was opened again after its thread ended: cached events are of the old epochs.
    this.#recent.clear()
    for (const log of this.#watchers.logs) this.#watchers.notify(log)
    this.#options.onLoss(warning)
  }

  async #sweep(): Promise<void> {
    try {
      const { removed = [] } = await this.#ask({ op: 'sweep', now: Date.now() })
      for (const log of removed) this.#invalidate(log)
    } catch {
      // The next append gets the same error and reports it.
    }
  }

  #invalidate(log: string): void {
    this.#recent.forget(log)
    this.#watchers.notify(log)
  }

  #parse(log: string, stored: readonly StoredEvent[]): LogEvent[] {
    try {
      return stored.map(fromStored)
    } catch {
      // Rows of an older version have no sum.
      throw logDamaged(this.#options.folder, log, 'an event is not what was written')
    }
  }
}
