/** All logs of a memory engine: how many bytes they have together, and which are evicted for a new one. */
import { MillraceError } from '@millrace/protocol'
import { eventOverheadBytes, sizeOf } from '../../log/event-size.ts'
import type { Appended, AppendOptions, NewEvent } from '../../log/log.ts'
import type { Watchers } from '../shared/watchers.ts'
import { MemoryLog } from './log.ts'

export interface MemoryLimits {
  readonly bytesMax: number
  readonly ageMsMax: number
  readonly logsMax: number
  readonly totalBytesMax: number
}

export interface MemoryLogsOptions {
  readonly limits: MemoryLimits
  readonly newEpoch: () => string
  /** A log that is watched is not evicted. */
  readonly watchers: Watchers
  readonly isPinned: (log: string) => boolean
}

export class MemoryLogs {
  readonly #limits: MemoryLimits
  readonly #newEpoch: () => string
  readonly #watchers: Watchers
  readonly #isPinned: (log: string) => boolean
  readonly #logs = new Map<string, MemoryLog>()
  /** In the order of the last append, but for those in `#moved`: the logs that never had an event, and the others. */
  readonly #empty = new Set<MemoryLog>()
  readonly #written = new Set<MemoryLog>()
  /**
   * Logs that had an append since the order was needed last, which is when room must be made. To move a log with each
   * append would cost every token.
   */
  readonly #moved = new Set<MemoryLog>()
  #appends = 0
  #totalBytes = 0

  constructor({ limits, newEpoch, watchers, isPinned }: MemoryLogsOptions) {
    this.#limits = limits
    this.#newEpoch = newEpoch
    this.#watchers = watchers
    this.#isPinned = isPinned
  }

  append(name: string, batch: readonly NewEvent[], options: AppendOptions, now: number): Appended {
    const { epoch, key, unless, expect, keep = Number.POSITIVE_INFINITY } = options
    const existing = this.#logs.get(name)
    if (epoch !== undefined && existing?.epoch !== epoch) throw new MillraceError('position_foreign')
    const used = key === undefined ? undefined : existing?.keys.get(key)
    if (existing && used !== undefined) return { position: { epoch: existing.epoch, offset: used }, duplicate: true }
    if (unless !== undefined && existing?.keys.has(unless)) throw new MillraceError('fenced')
    if (expect !== undefined && expect !== (existing?.head ?? 0))
      throw new MillraceError('head_moved', { position: existing?.state.head })
    const time = Math.max(now, existing?.touched ?? 0)
    if (existing) this.#trim(existing, time)
    const sizes = batch.map(({ data }) => sizeOf(data))
    let bytes = eventOverheadBytes * sizes.length
    for (const size of sizes) bytes += size
    // A log at its own bound removes its own oldest events.
    this.#makeRoom(name, Math.min(bytes, this.#limits.bytesMax - (existing?.bytes ?? 0)))
    const log = existing ?? this.#create(name)
    log.push(batch, sizes, time)
    this.#totalBytes += bytes
    if (key !== undefined) log.keys.set(key, log.head)
    log.lastAppend = ++this.#appends
    this.#moved.add(log)
    this.#trim(log, time, keep)
    if (batch.length > 0) this.#watchers.notify(name)
    return { position: { epoch: log.epoch, offset: log.head }, duplicate: false }
  }

  #create(name: string): MemoryLog {
    const log = new MemoryLog(name, this.#newEpoch())
    this.#logs.set(name, log)
    return log
  }

  /** The log, without the events that are too old by now. */
  find(name: string, now: number): MemoryLog | undefined {
    const log = this.#logs.get(name)
    if (log !== undefined) this.#trim(log, now)
    return log
  }

  get names(): Iterable<string> {
    return this.#logs.keys()
  }

  delete(name: string): boolean {
    const log = this.#logs.get(name)
    if (log === undefined) return false
    this.#logs.delete(name)
    for (const logs of [this.#empty, this.#written, this.#moved]) logs.delete(log)
    this.#totalBytes -= log.bytes
    this.#watchers.notify(name)
    return true
  }

  /** Deletes the logs that have no event left and had no append for the maximal age. */
  sweep(now: number): void {
    for (const [name, log] of this.#logs) {
      this.#trim(log, now)
      if (log.isEmpty && log.touched < now - this.#limits.ageMsMax && !this.#isPinned(name)) this.delete(name)
    }
  }

  clear(): void {
    for (const logs of [this.#logs, this.#empty, this.#written, this.#moved]) logs.clear()
    this.#totalBytes = 0
  }

  #trim(log: MemoryLog, now: number, keep = Number.POSITIVE_INFINITY): void {
    const { bytesMax, ageMsMax } = this.#limits
    this.#totalBytes -= log.trim({ keep, bytesMax, oldest: now - ageMsMax })
  }

  #sort(): void {
    for (const log of [...this.#moved].sort((one, other) => one.lastAppend - other.lastAppend)) {
      this.#empty.delete(log)
      this.#written.delete(log)
      const order = log.head === 0 ? this.#empty : this.#written
      order.add(log)
    }
    this.#moved.clear()
  }

  /** Evicts the logs that must go for `bytes` more in this one, or none when the evictable ones are too few. */
  #makeRoom(name: string, bytes: number): void {
    const { logsMax, totalBytesMax } = this.#limits
    const evicted: string[] = []
    let bytesOver = this.#totalBytes + bytes - totalBytesMax
    let logsOver = this.#logs.has(name) ? 0 : this.#logs.size + 1 - logsMax
    if (bytesOver <= 0 && logsOver <= 0) return
    this.#sort()
    for (const order of logsOver > 0 ? [this.#empty, this.#written] : [this.#written]) {
      for (const other of order) {
        if (bytesOver <= 0 && logsOver <= 0) break
        if (other.name === name || this.#watchers.has(other.name) || this.#isPinned(other.name)) continue
        evicted.push(other.name)
        bytesOver -= other.bytes
        logsOver -= 1
      }
    }
    if (bytesOver > 0) throw fullError(`${totalBytesMax} bytes`)
    if (logsOver > 0) throw fullError(`${logsMax} logs`)
    for (const other of evicted) this.delete(other)
  }
}

function fullError(limit: string): MillraceError {
  return new MillraceError('log_full', { message: `The engine has reached its limit of ${limit}; try again later.` })
}
