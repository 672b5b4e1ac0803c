/** Where the lines of one connection go: to the answer in this process, or to the server that has it. */
import type { MillraceError } from '@millrace/protocol'
import { Feed, type ProducedAnswer, type Producer } from './produced-answer.ts'

/** How far an answer has come. */
export interface AnswerState {
  /** The number of the line that is expected next. */
  readonly next: number
  /** Of its producer. */
  readonly epoch: number
  /** Its producer has sent all of it. */
  readonly isWhole: boolean
}

export interface Sink {
  /** Takes lines with consecutive numbers. Rejects as `Feed.take` does. */
  take(seq: number, lines: readonly string[]): Promise<void>
  /** The connection has ended; `isWhole`: not cut. */
  detach(isWhole: boolean): void
  /** Ends an answer as failed whose producer has no id, and so cannot reconnect and go on. */
  fail(error: MillraceError): void
  /** Resolves when it takes no line any more. */
  readonly closed: Promise<MillraceError>
  /** Why it takes none any more. */
  readonly error: MillraceError | undefined
  readonly answer: AnswerState
}

/** Has an `error` where the answer is not the producer's. */
export function openSink(answer: ProducedAnswer, producer: Producer | undefined): Sink {
  const feed = attach(answer, producer)
  return {
    async take(seq, lines) {
      for (const [index, line] of lines.entries()) {
        if (answer.isWhole) return
        await feed.take(seq + index, line)
      }
    },
    detach: (isWhole) => answer.detach(feed, isWhole),
    fail: (error) => answer.fail(error),
    closed: feed.closed,
    get error() {
      return feed.error
    },
    answer,
  }
}

/** Throws why the answer takes no lines; one that is complete drops them. */
export function requireOpen({ error, answer }: Sink): void {
  if (error !== undefined && !(answer.isWhole && error.code === 'run_ended')) throw error
}

function attach(answer: ProducedAnswer, producer: Producer | undefined): Feed {
  try {
    return answer.attach(producer)
  } catch (error) {
    const feed = new Feed(() => Promise.reject(error as MillraceError))
    feed.close(error as MillraceError)
    return feed
  }
}
