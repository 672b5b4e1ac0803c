/** What is delivered, for who watches it: plain fields, because they change with every write. */
import type { LogEvent } from '../log/log.ts'

export class DeliveryStats {
  /** Events and bytes that were written to readers; an event counts once for each of them. */
  events = 0
  bytes = 0
  /** Gaps that readers got in place of events. */
  gaps = 0
  /** Readers that read their log by themselves, with the number of events that they have not read. */
  readonly behind = new Map<object, number>()
  /** At the end of a pass over the readers of a log: the time of its oldest event, and the number of writes. */
  readonly passEnded: (oldestTime: number, writes: number) => void

  constructor(passEnded: (oldestTime: number, writes: number) => void = () => {}) {
    this.passEnded = passEnded
  }

  written(events: number, bytes: number): void {
    this.events += events
    this.bytes += bytes
  }
}

/** Of the passes of one tail over its readers. */
export class PassStats {
  readonly #stats: DeliveryStats
  /** When the oldest event was appended that the next pass, and the pass in progress, deliver. */
  #nextTime: number | undefined
  #time: number | undefined
  #writes = 0

  constructor(stats: DeliveryStats) {
    this.#stats = stats
  }

  taken(events: readonly LogEvent[]): void {
    this.#nextTime ??= events[0]?.time
  }

  begin(): void {
    this.#time ??= this.#nextTime
    this.#nextTime = undefined
  }

  written(events: number, bytes: number): void {
    this.#writes += 1
    this.#stats.written(events, bytes)
  }

  end(): void {
    if (this.#time !== undefined && this.#writes > 0) this.#stats.passEnded(this.#time, this.#writes)
    this.#time = undefined
    this.#writes = 0
  }
}

/** Where readers are. */
export interface ReaderCounts {
  /** They have everything, or get it with the next tick. */
  readonly live: number
  /** Their connections take nothing at present. */
  readonly blocked: number
  /** They read the log by themselves until they have caught up. */
  readonly behind: number
  /** The largest number of events that one of them lags behind. */
  readonly lagMax: number
}
