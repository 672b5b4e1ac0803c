/**
 * The readers of one log that share a link. What the link brings is offered to each of them, which takes it or drops it by
 * its own position, so a stream that begins at the earliest of their positions serves all.
 */
import { parsePosition } from '@millrace/protocol'
import type { Reader, Verdict } from './reader.ts'

/** What a link needs to know of those who read through it. */
export type SharedReader = Pick<Reader, 'reached' | 'take' | 'skipTo' | 'end'>

/** The verdict that decides for all: an event that is `stale` for one of them has to come again. */
const order: readonly Verdict[] = ['bad', 'foreign', 'stale', 'take', 'drop']

export class ReaderGroup implements SharedReader {
  readonly #readers = new Set<Reader>()

  get size(): number {
    return this.#readers.size
  }

  /** `now` as long as one of them is there: it has to be located first. */
  get reached(): string {
    const all = [...this.#readers].map(({ reached }) => reached)
    const offset = (position: string) => parsePosition(position)?.offset ?? (position === 'now' ? -2 : -1)
    return all.reduce((first, next) => (offset(next) < offset(first) ? next : first), all[0] ?? 'start')
  }

  add(reader: Reader): void {
    this.#readers.add(reader)
  }

  delete(reader: Reader): void {
    this.#readers.delete(reader)
  }

  take(...event: Parameters<Reader['take']>): Verdict {
    const verdicts = [...this.#readers].map((reader) => reader.take(...event))
    return order.find((verdict) => verdicts.includes(verdict)) ?? 'drop'
  }

  skipTo(before: string | undefined, position: string): void {
    for (const reader of this.#readers) reader.skipTo(before, position)
  }

  end(error?: Parameters<Reader['end']>[0]): void {
    for (const reader of this.#readers) reader.end(error)
  }
}
