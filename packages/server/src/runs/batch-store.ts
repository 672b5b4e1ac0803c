/**
 * Puts the batches of a run into its log, each once, also where the engine is unavailable for a while. An append that
 * was rejected may have been made, so before it is made again it is looked for: only a retry costs anything, where a key
 * for each batch would cost every token.
 */
import { MillraceError, type Position } from '@millrace/protocol'
import type { Engine, NewEvent } from '../log/log.ts'
import { isUnavailable, retryWhileUnavailable } from '../log/retry.ts'

export interface BatchStoreOptions {
  readonly engine: Engine
  readonly log: string
  readonly run: string
  /** Before the run's first event, its `stream_start`. */
  readonly start: Position
  /** Of the run's end: behind it nothing is stored. */
  readonly endKey: string
  /** The batch is not needed any more: it is not tried again. */
  readonly isOver: () => boolean
  readonly onUnavailable: (error: MillraceError) => void
  /** Ends the wait before the next try. */
  readonly signal: AbortSignal
}

export interface BatchStore {
  /**
   * Stores one batch at a time. Resolves with how long the engine took for it, in milliseconds; undefined where it was
   * unavailable meanwhile. Rejects with what is final, or once it is over.
   */
  store(batch: readonly NewEvent[]): Promise<number | undefined>
  /** Why a batch is being tried again. */
  readonly trouble: MillraceError | undefined
}

export function createBatchStore(options: BatchStoreOptions): BatchStore {
  const { engine, log, run, start, endKey, isOver, onUnavailable, signal } = options
  const { epoch } = start
  /** Of this run's newest event that is known to be in the log. */
  let lastOffset = start.offset + 1
  let trouble: MillraceError | undefined
  let retries = 0

  return {
    async store(batch) {
      const began = performance.now()
      try {
        lastOffset = await append(batch)
        return performance.now() - began
      } catch (error) {
        if (!isUnavailable(error)) throw error
        lastOffset = await storeLater(batch, error)
        return undefined
      }
    },
    get trouble() {
      return trouble
    },
  }

  async function append(batch: readonly NewEvent[]): Promise<number> {
    const { position } = await engine.append(log, batch, { epoch, unless: endKey })
    return position.offset
  }

  async function storeLater(batch: readonly NewEvent[], first: MillraceError): Promise<number> {
    trouble = first
    let isDoubtful = false
    const act = async (last?: MillraceError) => {
      // A call that an engine was too busy for was not even begun, and it is not to be given more to do.
      isDoubtful ||= last?.code !== 'engine_busy'
      return (isDoubtful ? await findStored() : undefined) ?? (await append(batch))
    }
    try {
      return await retryWhileUnavailable(act, { isOver, onUnavailable, signal, first })
    } finally {
      trouble = undefined
    }
  }

  /**
   * The end of the batch that was rejected and is in the log all the same; undefined where it is not, and will not be:
   * behind an append that was acknowledged no earlier one comes in.
   */
  async function findStored(): Promise<number | undefined> {
    const { position: to } = await engine.append(log, [], { epoch, unless: endKey, key: `retry ${++retries} ${run}` })
    let found: number | undefined
    for (let at = { epoch, offset: lastOffset }; at.offset < to.offset; ) {
      const { events, position, gap } = await engine.read(log, at)
      // What is missing may have been the batch, and must not be written twice.
      if (gap !== undefined) throw new MillraceError('position_expired')
      for (const { data, offset } of events) if ((data as { run?: string } | null)?.run === run) found = offset
      at = position
    }
    return found
  }
}
