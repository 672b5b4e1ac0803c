/** All logs of a memory engine: how many bytes they have together, and which are evicted for a new one. */
import { MillraceError } from '@millrace/protocol'
import type { Appended, AppendOptions, NewEvent } from '../../log/log.ts'
import type { Watchers } from '../shared/watchers.ts'
import { eventBytes, MemoryLog } from './log.ts'

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
  /** Names in the order of the last append: of the logs that never had an event, and of the others. */
  readonly #empty = new Set<string>()
  readonly #written = new Set<string>()
  #totalBytes = 0

  constructor({ limits, newEpoch, watchers, isPinned }: MemoryLogsOptions) {
    this.#limits = limits
    this.#newEpoch = newEpoch
    this.#watchers = watchers
    this.#isPinned = isPinned
  }

  append(name: string, batch: readonly NewEvent[], options: AppendOptions, now: number): Appended {
    const { epoch, key, unless, expect, keep } = options
    const existing = this.#logs.get(name)
    if (epoch !== undefined && existing?.epoch !== epoch) throw new MillraceError('position_foreign')
    const used = key === undefined ? undefined : existing?.keys.get(key)
    if (existing && used !== undefined) return { position: { epoch: existing.epoch, offset: used }, duplicate: true }
    if (unless !== undefined && existing?.keys.has(unless)) throw new MillraceError('fenced')
    const head = existing?.state.head
    if (expect !== undefined && expect !== (head?.offset ?? 0)) throw new MillraceError('head_moved', { position: head })
    const time = Math.max(now, existing?.touched ?? 0)
    if (existing) this.#trim(existing, time)
    const bytes = batch.reduce((sum, { data }) => sum + eventBytes(data), 0)
    // A log at its own bound removes its own oldest events.
    this.#makeRoom(name, Math.min(bytes, this.#limits.bytesMax - (existing?.bytes ?? 0)))
    const log = existing ?? new MemoryLog(this.#newEpoch())
    this.#logs.set(name, log)
    log.push(batch, bytes, time)
    this.#totalBytes += bytes
    if (key !== undefined) log.keys.set(key, log.head)
    this.#empty.delete(name)
    this.#written.delete(name)
    const order = log.head === 0 ? this.#empty : this.#written
    order.add(name)
    this.#trim(log, time, keep)
    if (batch.length > 0) this.#watchers.notify(name)
    return { position: log.state.head, duplicate: false }
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
    for (const names of [this.#logs, this.#empty, this.#written]) names.delete(name)
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
    for (const names of [this.#logs, this.#empty, this.#written]) names.clear()
    this.#totalBytes = 0
  }

  #trim(log: MemoryLog, now: number, keep = Number.POSITIVE_INFINITY): void {
    const { bytesMax, ageMsMax } = this.#limits
    this.#totalBytes -= log.trim({ keep, bytesMax, oldest: now - ageMsMax })
  }

  /** Evicts the logs that must go for `bytes` more in this one, or none when the evictable ones are too few. */
  #makeRoom(name: string, bytes: number): void {
    const { logsMax, totalBytesMax } = this.#limits
    const evicted: string[] = []
    let bytesOver = this.#totalBytes + bytes - totalBytesMax
    let logsOver = this.#logs.has(name) ? 0 : this.#logs.size + 1 - logsMax
    if (bytesOver <= 0 && logsOver <= 0) return
    for (const order of logsOver > 0 ? [this.#empty, this.#written] : [this.#written]) {
      for (const other of order) {
        if (bytesOver <= 0 && logsOver <= 0) break
        if (other === name || this.#watchers.has(other) || this.#isPinned(other)) continue
        evicted.push(other)
        bytesOver -= this.#logs.get(other)?.bytes ?? 0
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
