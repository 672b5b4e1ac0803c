/**
 * The answers that producers send to this server. Each is found by its run's id while it is in progress, and for a while after:
 * a producer that did not get the response sends its last lines again.
 */
import { MillraceError } from '@millrace/protocol'
import { LRUCache } from 'lru-cache'
import type { Run } from '../runs/run.ts'
import type { LineReader } from './line.ts'
import { ProducedAnswer, type Producer } from './produced-answer.ts'

/** A run whose answer comes from a producer. */
export interface Produced {
  readonly run: Run
  readonly answer: ProducedAnswer
}

export interface ProducersOptions {
  /** For a producer to come back, in milliseconds. */
  readonly waitMsMax: number
}

export interface ProducedStart {
  readonly id: string
  readonly producer: Producer | undefined
  readonly lines: LineReader
  /** Starts the run with this source. */
  readonly start: (source: ProducedAnswer['source']) => Promise<Run>
}

export interface Producers {
  /** Rejects as its start does. */
  find(run: string): Promise<Produced> | undefined
  /** The run of this id; where it is being started already, that one. Rejects as `start` does. */
  start(start: ProducedStart): Promise<Produced>
}

/** Ended answers that are still found. */
const endedMax = 10_000

export function createProducers({ waitMsMax }: ProducersOptions): Producers {
  const active = new Map<string, Promise<Produced>>()
  const ended = new LRUCache<string, Produced>({ max: endedMax })

  return {
    find,
    start({ id, producer, lines, start }) {
      const known = find(id)
      if (known !== undefined) return known
      const answer = new ProducedAnswer({ lines, producer, waitMsMax })
      const starting = begin(id, answer, start)
      active.set(id, starting)
      return starting
    },
  }

  function find(id: string): Promise<Produced> | undefined {
    const known = ended.get(id)
    return active.get(id) ?? (known && Promise.resolve(known))
  }

  async function begin(id: string, answer: ProducedAnswer, start: ProducedStart['start']): Promise<Produced> {
    try {
      const run = await start(answer.source)
      // Another server has started it at the same time.
      if (!answer.isRead) throw new MillraceError('run_elsewhere')
      const produced = { run, answer }
      void run.ended.then(() => {
        answer.close()
        active.delete(id)
        ended.set(id, produced)
      })
      return produced
    } catch (error) {
      active.delete(id)
      throw error
    }
  }
}
