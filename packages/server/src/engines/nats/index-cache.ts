/** The indexes of the logs in use. Those used longest ago are dropped; they are read again when they are needed. */
import { emptyIndex, type LogIndex } from './log-index.ts'

export interface IndexCache {
  get(log: string): LogIndex
}

/** Batches in all indexes together. */
const batchesMax = 1_000_000
/** Calls after which all indexes are counted again. */
const callsPerCheck = 1024
/** What an index without batches counts as. */
const indexCost = 10

export function createIndexCache(): IndexCache {
  /** In the order of their last use. */
  const indexes = new Map<string, LogIndex>()
  let calls = 0

  return {
    get(log) {
      const index = indexes.get(log) ?? emptyIndex()
      indexes.delete(log)
      indexes.set(log, index)
      if (++calls % callsPerCheck === 0) dropOldest()
      return index
    },
  }

  function dropOldest(): void {
    let count = 0
    for (const [log, { batches }] of [...indexes].reverse()) {
      count += batches.length + indexCost
      if (count > batchesMax) indexes.delete(log)
    }
  }
}
