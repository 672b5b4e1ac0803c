/**
 * Appends what a run says to its session's log, one batch at a time: while the engine works on one, what comes in
 * gathers for the next, so a slow engine gets larger batches and not more of them. A busy one also gets a rest. While
 * the engine is unavailable a batch is kept and tried again, and each of them enters the log once.
 */
import type { MillraceError, Position, SessionEvents, SessionEventType } from '@millrace/protocol'
import { sizeOf } from '../log/event-size.ts'
import type { Engine, EventData, NewEvent } from '../log/log.ts'
import { createBatchStore } from './batch-store.ts'
import { retryUntil, toError } from './retry-until.ts'

/**
 * Of the time that an append took beyond the quickest, which it spent behind others, so many times is rested; else as
 * many small appends as an engine can just bear would all wait behind each other: docs/decisions/0015.
 */
const restFactor = 8
const restMsMax = 50
/** So much is chance. */
const slackMs = 4
/** Events that may wait before the models are asked to. */
const backlogMax = 256
/** Data in one batch: what gathers while an engine is unavailable may be more than it takes at once. */
const batchBytesMax = 128 * 1024

export interface RunWriter {
  write<T extends SessionEventType>(type: T, data: SessionEvents[T]): void
  /** Writes a file as two events with nothing between them. The bytes MUST NOT be changed afterwards. */
  writeFile(file: SessionEvents['file'], bytes: Uint8Array): void
  /** Whether so much waits that whoever writes SHOULD await `settled()` first. */
  readonly full: boolean
  /** Resolves when all that was written before the call is acknowledged; rejects when the engine refused it. */
  settled(): Promise<void>
  /** From now on a batch is not tried again. Fails the run where one is being tried again. */
  giveUp(): void
  /**
   * Writes the last event, after all others, also where the engine refused one of them or it was given up: without it
   * readers would wait for ever. It is offered for as long as the engine refuses it and there is time. Resolves when it
   * stands in the log, or never will; with another's end, where this run had been given up and ended by somebody else.
   */
  end<T extends SessionEventType>(type: T, data: SessionEvents[T]): Promise<Ended<T>>
}

export interface Ended<T extends SessionEventType> {
  readonly data: SessionEvents[T]
  /** Absent where it never will stand in the log. */
  readonly position?: Position
}

export interface RunWriterOptions {
  readonly engine: Engine
  readonly log: string
  readonly run: string
  /** Before the run's first event, its `stream_start`. */
  readonly start: Position
  /** The engine refuses: the run is to end. Called once. */
  readonly onFailure: (error: MillraceError) => void
  /** The engine is unavailable: the run waits for it. */
  readonly onUnavailable: (error: MillraceError) => void
  /** Aborts when there is no time left to try again. */
  readonly signal: AbortSignal
}

interface Waiter {
  /** Of the events written, how many have to be acknowledged. */
  readonly count: number
  readonly resolve: () => void
}

export function createRunWriter(options: RunWriterOptions): RunWriter {
  const { engine, log, run, start, onFailure, onUnavailable, signal } = options
  /** Of the end in the log, which is there once however often it is offered. */
  const endKey = `end ${run}`
  let waiting: NewEvent[] = []
  let isWriting = false
  let failure: MillraceError | undefined
  let isGivenUp = false
  let { epoch } = start
  let written = 0
  let acknowledged = 0
  /** In the order of their counts. */
  const waiters: Waiter[] = []
  /** Of the appends of this run, in milliseconds: what the engine takes when it has nothing else to do. */
  let quickest = Number.POSITIVE_INFINITY
  let wake = () => {}
  const isOver = () => isGivenUp || signal.aborted || failure !== undefined
  const store = createBatchStore({ engine, log, run, start, endKey, isOver, onUnavailable, signal })

  return {
    write: (type, data) => push(sessionEvent(type, data)),
    writeFile: (file, bytes) => push(sessionEvent('file', file), { type: 'file_data', data: bytes }),
    get full() {
      // A file takes as much memory as a whole backlog of words.
      return waiting.length >= backlogMax || waiting.at(-1)?.type === 'file_data'
    },
    async settled() {
      await allWritten()
      if (failure !== undefined) throw failure
    },
    giveUp() {
      isGivenUp = true
      if (store.trouble !== undefined) fail(store.trouble)
    },
    async end(type, data) {
      await allWritten()
      try {
        return await retryUntil(() => offerEnd(type, data), signal)
      } catch {
        return { data }
      }
    },
  }

  /** All of a call at once: what is written first is on its way to the engine before the call returns. */
  function push(...events: NewEvent[]): void {
    if (failure !== undefined) return
    waiting.push(...events)
    written += events.length
    if (!isWriting) void writeAll()
  }

  async function offerEnd<T extends SessionEventType>(type: T, data: SessionEvents[T]): Promise<Ended<T>> {
    try {
      const { position, duplicate } = await engine.append(log, [sessionEvent(type, data)], { epoch, key: endKey })
      return { data: duplicate ? await readEnd(position, data) : data, position }
    } catch (cause) {
      const error = toError(cause)
      if (failure === undefined) fail(error)
      if (error.code === 'position_foreign' && (await isStillThere())) return offerEnd(type, data)
      throw error
    }
  }

  async function readEnd<T>(position: Position, own: T): Promise<T> {
    const { events } = await engine.read(log, { ...position, offset: position.offset - 1 }, { eventsMax: 1 })
    return (events[0]?.data as T | undefined) ?? own
  }

  /** A log that lost its end has a new epoch. Where the run's start is still in it, its readers wait for this end. */
  async function isStillThere(): Promise<boolean> {
    const state = await engine.inspect(log)
    if (state === undefined || state.head.offset <= start.offset || state.head.epoch === epoch) return false
    const after = { epoch: state.head.epoch, offset: start.offset }
    const { events } = await engine.read(log, after, { eventsMax: 1 })
    if (events[0]?.type !== 'stream_start' || `end ${(events[0].data as { run: string }).run}` !== endKey) return false
    epoch = after.epoch
    return true
  }

  function fail(error: MillraceError): void {
    if (failure !== undefined) return
    waiting = []
    failure = error
    resolveWaiters(Number.POSITIVE_INFINITY)
    onFailure(error)
  }

  /** A file by itself: its events are not to be parted, and with others they could be more than an engine takes at once. */
  function takeBatch(): NewEvent[] {
    const file = waiting.findIndex(({ type }) => type === 'file')
    return waiting.splice(0, file === 0 ? 2 : countFitting(file === -1 ? waiting.length : file))
  }

  function countFitting(most: number): number {
    let count = 1
    for (let bytes = most > 1 ? sizeOf(waiting[0]?.data) : 0; count < most; count++) {
      bytes += sizeOf(waiting[count]?.data)
      if (bytes > batchBytesMax) break
    }
    return count
  }

  /** Of what is written by now; what others write meanwhile is not waited for. */
  function allWritten(): Promise<void> | undefined {
    if (acknowledged === written || failure !== undefined) return undefined
    return new Promise((resolve) => {
      waiters.push({ count: written, resolve })
      // This is no time to rest.
      wake()
    })
  }

  function resolveWaiters(count: number): void {
    while (waiters[0] !== undefined && waiters[0].count <= count) waiters.shift()?.resolve()
  }

  function rest(ms: number): Promise<void> | undefined {
    if (ms <= 0 || waiters.length > 0) return undefined
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async function writeAll(): Promise<void> {
    isWriting = true
    try {
      while (waiting.length > 0) {
        const batch = takeBatch()
        const took = await store.store(batch)
        // Given up meanwhile, and ended or about to be.
        if (failure !== undefined) return
        acknowledged += batch.length
        resolveWaiters(acknowledged)
        if (took === undefined) continue
        quickest = Math.min(quickest, took)
        await rest(Math.min(restMsMax, (took - quickest - slackMs) * restFactor))
      }
    } catch (cause) {
      fail(toError(cause))
    } finally {
      isWriting = false
    }
  }
}

/** An event of a session as the log takes it: the log keeps JSON or bytes, and what JSON it is, is said here. */
export function sessionEvent<T extends SessionEventType>(type: T, data: SessionEvents[T]): NewEvent {
  return { type, data: data as unknown as EventData }
}
