/**
 * Appends: what waits behind a call to the same log goes out together as the next one. There is one call at a time for
 * each log, because only an engine's last call to a log can be made again after the connection was lost.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '@millrace/protocol'
import type { Appended, AppendOptions, NewEvent } from '../../log/log.ts'
import { formatEvents } from '../shared/event-text.ts'
import { createGroups, type InGroups } from '../shared/groups.ts'
import type { Appended as AppendedEvents } from '../shared/recent-events.ts'
import type { Calls } from './calls.ts'
import { verificationPollMs } from './high-water-marks.ts'
import { carriedBytesMax } from './notification.ts'
import * as scripts from './scripts.ts'

interface Append {
  readonly events: readonly NewEvent[]
  readonly text: string
  readonly options: AppendOptions
  readonly deadline: number
}

/** What a group of appends has added to its log. */
export interface Added {
  /** Number of the group, among all groups of this engine. */
  readonly number: number
  readonly epoch: string
  readonly head: number
  /** The Redis process that has them. */
  readonly server: string
  readonly isVerified: boolean
  /** This engine was notified of the log's appends before it sent these. */
  readonly isSubscribed: boolean
  readonly batches: readonly AppendedEvents[]
}

export interface AppenderOptions {
  readonly calls: Calls
  readonly bytesMax: number
  readonly ageMsMax: number
  readonly replicas: number
  /** The arguments that verify a log in the Redis process `server`. */
  readonly verification: (log: string, server: string) => readonly string[]
  readonly isSubscribed: (log: string) => boolean
  readonly onAdded: (log: string, added: Added) => void
  readonly onForeign: (log: string) => void
}

/** How the script `append` answers for a batch, and for a group. */
type BatchAnswer = readonly [status: 'done' | 'duplicate' | 'fenced' | 'head_moved' | 'position_foreign', offset?: number | null]
type GroupAnswer = readonly [epoch: string, start: number, time: number, isVerified: 0 | 1, batches: BatchAnswer[]]

export class Appender {
  readonly #options: AppenderOptions
  readonly #inGroups: InGroups<Append, Appended>
  #groups = 0

  constructor(options: AppenderOptions) {
    this.#options = options
    this.#inGroups = createGroups<Append, Appended>((log, appends) => this.#appendAll(log, appends))
  }

  async append(log: string, events: readonly NewEvent[], options: AppendOptions): Promise<Appended> {
    // Before it waits: an append that cannot be encoded MUST NOT reject those beside it.
    const text = formatEvents(events)
    return this.#inGroups(log, text.length, { events, text, options, deadline: this.#options.calls.newDeadline() })
  }

  async #appendAll(log: string, appends: readonly Append[]): Promise<(Appended | MillraceError)[]> {
    try {
      return await this.#appendGroup(log, appends)
    } catch (error) {
      // A full Redis has rejected the whole script, but not every batch of it needs space.
      if (appends.length === 1 || !(error instanceof MillraceError) || error.code !== 'log_full') throw error
      const results: (Appended | MillraceError)[] = []
      for (const append of appends) results.push(...(await this.#appendGroup(log, [append]).catch((cause) => [cause])))
      return results
    }
  }

  async #appendGroup(log: string, appends: readonly Append[]): Promise<(Appended | MillraceError)[]> {
    const { calls, bytesMax, ageMsMax, replicas, verification, onAdded } = this.#options
    const number = ++this.#groups
    const isSubscribed = this.#options.isSubscribed(log)
    const rest = [number, bytesMax, ageMsMax, replicas > 0 ? 1 : 0, carriedBytesMax, ...appends.flatMap(argsOf)].map(String)
    // Of the one that has waited longest.
    const { deadline } = appends[0] as Append
    let server = ''
    const args = (to: string) => {
      server = to
      return [...verification(log, to), ...rest]
    }
    let answer = await calls.run(scripts.append, log, args, deadline)
    while (answer.at(-1) === 'unverified') {
      await sleep(verificationPollMs)
      answer = await calls.run(scripts.append, log, args, deadline)
    }
    const [epoch, start, time, isVerified, answers] = answer as unknown as GroupAnswer
    const stored = answers.flatMap(([status, offset]) => (status === 'done' || status === 'duplicate' ? [offset as number] : []))
    if (replicas > 0 && stored.length > 0) {
      await calls.run(scripts.show, log, () => [epoch, String(Math.max(...stored))], deadline)
    }
    const results = answers.map((each) => this.#resultOf(log, epoch, each))
    const batches = answers.flatMap(([status, offset], index) => {
      const { events } = appends[index] as Append
      return status === 'done' ? [{ epoch, head: offset as number, start, time: Number(time), events }] : []
    })
    const head = batches.at(-1)?.head
    if (head !== undefined) onAdded(log, { number, epoch, head, server, isVerified: isVerified === 1, isSubscribed, batches })
    return results
  }

  #resultOf(log: string, epoch: string, [status, offset]: BatchAnswer): Appended | MillraceError {
    const position = typeof offset === 'number' ? { epoch, offset } : undefined
    if ((status === 'done' || status === 'duplicate') && position) return { position, duplicate: status === 'duplicate' }
    if (status === 'position_foreign') this.#options.onForeign(log)
    return new MillraceError(status as 'head_moved', { position })
  }
}

function argsOf({ events, text, options }: Append): (string | number)[] {
  const { epoch = '', key = '', unless = '', expect = '', keep = '' } = options
  const field = events.some(({ data }) => data instanceof Uint8Array) ? 'b' : 'd'
  return [epoch, key, unless, expect, keep, events.length, field, text]
}
