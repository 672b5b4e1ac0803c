/** Appends a run's end, once however often it is tried, also to a log that has lost its newest events. */
import { isDeepStrictEqual } from 'node:util'
import type { MillraceError, Position, SessionEvents, SessionEventType } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import { toError } from './retry-until.ts'
import { sessionEvent } from './session-event.ts'

export interface EndAppendOptions {
  readonly engine: Engine
  readonly log: string
  readonly run: string
  /** Before the run's first event, its `stream_start`. */
  readonly start: Position
  /** Called with each error of an append, also where the end is then appended in the log's new epoch. */
  readonly onError: (error: MillraceError) => void
}

export interface RecordedData<T extends SessionEventType> {
  readonly data: SessionEvents[T]
  /** Absent where the end never enters the log. */
  readonly position?: Position
  /** Another process has ended the run, which it had taken for dead. */
  readonly isOthers?: true
}

/** Of the end's batch. A log with it takes no more events of the run. */
export const endKeyOf = (run: string): string => `end ${run}`

export class EndAppend {
  readonly #options: EndAppendOptions
  #epoch: string

  constructor(options: EndAppendOptions) {
    this.#options = options
    this.#epoch = options.start.epoch
  }

  /** Resolves with the end that is in the log, which may be another process's. Rejects with the engine's error. */
  async append<T extends SessionEventType>(type: T, data: SessionEvents[T]): Promise<RecordedData<T>> {
    const { engine, log, run } = this.#options
    const options = { epoch: this.#epoch, key: endKeyOf(run) }
    try {
      const { position, duplicate } = await engine.append(log, [sessionEvent(type, data)], options)
      return duplicate ? await this.#readEnd(position, data) : { data, position }
    } catch (cause) {
      const error = toError(cause)
      this.#options.onError(error)
      if (error.code === 'position_foreign' && (await this.#followEpoch())) return this.append(type, data)
      throw error
    }
  }

  async #readEnd<T extends SessionEventType>(position: Position, own: SessionEvents[T]): Promise<RecordedData<T>> {
    const { engine, log } = this.#options
    const { events } = await engine.read(log, { ...position, offset: position.offset - 1 }, { eventsMax: 1 })
    const data = events[0]?.data as SessionEvents[T] | undefined
    // An earlier append of ours may have been committed, and only its response lost.
    const isOwn = data === undefined || isDeepStrictEqual(data, JSON.parse(JSON.stringify(own)))
    return isOwn ? { data: own, position } : { data, position, isOthers: true }
  }

  /** A log that lost its newest events has a new epoch. Where it still has the run's start, readers wait for the end. */
  async #followEpoch(): Promise<boolean> {
    const { engine, log, run, start } = this.#options
    const state = await engine.inspect(log)
    if (state === undefined || state.head.offset <= start.offset || state.head.epoch === this.#epoch) return false
    const after = { epoch: state.head.epoch, offset: start.offset }
    const { events } = await engine.read(log, after, { eventsMax: 1 })
    if (events[0]?.type !== 'stream_start' || (events[0].data as { run: string }).run !== run) return false
    this.#epoch = after.epoch
    return true
  }
}
