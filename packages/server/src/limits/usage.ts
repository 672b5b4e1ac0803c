/**
 * The ledger of usage: what each principal has used on each day (UTC), kept in one log for each day, so that all servers of
 * an engine share it. The key of a run's event charges the run once, whichever servers end it. Decision 30 says why it is
 * charged before its end is recorded.
 */
import { type Json, MillraceError, type Position } from '@millrace/protocol'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { Engine } from '../log/log.ts'
import { pause } from '../log/retry.ts'
import type { UsedByRun } from '../runs/charge.ts'
import { retryUntil } from '../runs/retry-until.ts'
import { costOf, type Prices } from './prices.ts'
import { type PrincipalUsage, type RunUsage, UsageDay } from './usage-day.ts'

export interface UsageOfDay extends PrincipalUsage {
  /** `2026-11-28`. A run counts for the day on which it was asked for. */
  readonly day: string
  /** `anonymous` also for what the host's own code asks without naming anybody. */
  readonly principal: string
}

export interface UsageQuery {
  /** First day; default today. */
  readonly from?: string | undefined
  /** Last day; default `from`. */
  readonly to?: string | undefined
  /** Only of this one. */
  readonly principal?: string | undefined
}

export interface UsageReader {
  /**
   * The usage of all servers of the engine, by day and principal; what a run uses is in it when the run has ended. Rejects
   * with `invalid_request`, or as the engine does.
   */
  read(query?: UsageQuery): Promise<UsageOfDay[]>
}

export interface UsageLedger extends UsageReader {
  charge(used: UsedByRun): Promise<void>
  /** Today, as far as runs have ended. */
  today(): Promise<UsageDay>
}

export interface UsageLedgerOptions {
  readonly engine: Engine
  readonly prices: Prices
  /** Aborts when no time is left to record what is charged. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export const dayMs = 24 * 60 * 60_000
const daysMax = 366
/** Events after which a log gets new totals, and those that are kept beside them, for late repetitions of their keys. */
const eventsPerTotals = 10_000
const eventsKept = 20_000
const attemptsMax = 8
/** The longest time that the end of a run waits for its usage. */
const chargeMsMax = 2000
const daysCached = 3

const day = z.iso.date()
const querySchema = z.strictObject({ from: day.optional(), to: day.optional(), principal: z.string().optional() })

/** Not the name of a session or a channel: no client can read or write it. */
const logOf = (day: string) => `usage/${day}`
const dayOf = (time: number) => new Date(time).toISOString().slice(0, 10)

export function createUsageLedger(options: UsageLedgerOptions): UsageLedger {
  const { engine, prices, signal, onError, now = Date.now } = options
  const known = new LRUCache<string, DayReader>({ max: daysCached })
  let kept = { day: '', unwatch: () => {} }

  return {
    async charge(used) {
      const late = new AbortController()
      const recorded = record(used).catch(onError)
      await Promise.race([recorded, pause(chargeMsMax, late.signal)])
      late.abort()
    },
    today() {
      const day = dayOf(now())
      keep(day)
      return readerOf(day).read()
    },
    async read(query = {}) {
      const { data, error } = querySchema.safeParse(query)
      if (error !== undefined) throw invalid(z.prettifyError(error))
      const { from = dayOf(now()), to = from, principal } = data
      const [first, last] = [Date.parse(from), Date.parse(to)]
      if (last < first || last - first >= daysMax * dayMs) throw invalid(`\`to\` is up to ${daysMax} days after \`from\``)
      const found: UsageOfDay[] = []
      for (let time = first; time <= last; time += dayMs) {
        const { principals } = await readerOf(dayOf(time)).read()
        const wanted =
          principal === undefined
            ? [...principals].toSorted(([one], [other]) => (one < other ? -1 : 1))
            : [...principals].filter(([id]) => id === principal)
        for (const [id, used] of wanted) found.push({ day: dayOf(time), principal: id, ...used })
      }
      return found
    },
  }

  /** An engine short of room evicts no log that is watched. */
  function keep(day: string): void {
    if (day <= kept.day) return
    kept.unwatch()
    kept = { day, unwatch: engine.watch(logOf(day), () => {}) }
  }

  function readerOf(day: string): DayReader {
    const reader = known.get(day) ?? new DayReader(engine, logOf(day))
    known.set(day, reader)
    return reader
  }

  async function record({ run, principal = 'anonymous', askedAt, lanes }: UsedByRun): Promise<void> {
    const data: RunUsage = {
      principal,
      lanes: lanes.map(({ model, usage }) => {
        const { inputTokens, outputTokens, reasoningTokens = 0, estimated } = usage
        const cost = costOf(model, usage, prices)
        const counts = { model, inputTokens, outputTokens, reasoningTokens }
        return { ...counts, ...(cost !== undefined && { cost }), ...(estimated && { isEstimated: true }) }
      }),
    }
    const day = dayOf(askedAt)
    keep(day)
    const events = [{ type: 'run', data: data as unknown as Json }]
    const { position, duplicate } = await retryUntil(() => engine.append(logOf(day), events, { key: `run ${run}` }), signal)
    if (!duplicate && position.offset % eventsPerTotals === 0) void writeTotals(day).catch(onError)
  }

  /** Replaces old events by their sums, so that a log stays small and is read quickly. */
  async function writeTotals(day: string): Promise<void> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const reader = new DayReader(engine, logOf(day))
      const events = (await reader.read()).toEvents()
      const { epoch, offset } = reader.position
      try {
        return void (await engine.append(logOf(day), events, { epoch, expect: offset, keep: eventsKept }))
      } catch (error) {
        if (!isMoved(error)) throw error
      }
    }
  }
}

const start: Position = { epoch: '', offset: 0 }

/** Reads the log of a day on from where it was read before. */
class DayReader {
  readonly #engine: Engine
  readonly #log: string
  #day = new UsageDay()
  #reading: Promise<unknown> = Promise.resolve()
  position = start

  constructor(engine: Engine, log: string) {
    this.#engine = engine
    this.#log = log
  }

  /** One after another: two readers at once would count events twice. */
  read(): Promise<UsageDay> {
    const reading = this.#reading.then(() => this.#read())
    this.#reading = reading.catch(() => {})
    return reading
  }

  async #read(): Promise<UsageDay> {
    const state = await this.#engine.inspect(this.#log)
    if ((state?.head.epoch ?? '') !== this.position.epoch) {
      this.#day = new UsageDay()
      this.position = state?.start ?? start
    }
    while (state !== undefined && this.position.offset < state.head.offset) {
      const { events, position } = await this.#engine.read(this.#log, this.position)
      for (const event of events) this.#day.apply(event)
      this.position = position
    }
    return this.#day
  }
}

function isMoved(error: unknown): boolean {
  return error instanceof MillraceError && (error.code === 'head_moved' || error.code === 'position_foreign')
}

function invalid(why: string): MillraceError {
  return new MillraceError('invalid_request', { message: `The usage cannot be read: ${why}.` })
}
