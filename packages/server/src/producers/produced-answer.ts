/**
 * An answer that a producer sends: the source of a run's lane, fed by one connection after another, or by two that overlap. Each
 * line has a number, its place in the answer: a repeated line is dropped, and one that skips numbers is rejected. So a producer
 * whose connection broke sends the lines again that may be lost, and no token appears twice.
 */
import { MillraceError } from '@millrace/protocol'
import type { CheckedPart } from '../runs/part.ts'
import type { Line, LineReader } from './line.ts'

export interface Producer {
  readonly id: string
  /** A producer with a higher one takes the place of those with lower ones. */
  readonly epoch: number
}

export interface ProducedAnswerOptions {
  readonly lines: LineReader
  /** Absent where nobody may go on with the answer: it ends with its only connection. */
  readonly producer: Producer | undefined
  /** For the producer to come back, in milliseconds. */
  readonly waitMsMax: number
}

/** What is kept until the run takes it. Beyond, `take` waits, and with it the producer. */
const waitingMax = { parts: 256, characters: 262_144 }

export class ProducedAnswer {
  readonly #options: ProducedAnswerOptions
  #epoch: number
  /** One, or several of one epoch: a connection that was cut may be noticed after the next has begun. */
  readonly #feeds = new Set<Feed>()
  #wasFed = false
  #next = 0
  #parts: CheckedPart[] = []
  #characters = 0
  #end: Line['end']
  #isOver = false
  #isRead = false
  #isWhole = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #wakeSource = () => {}
  #waiting: (() => void)[] = []

  constructor(options: ProducedAnswerOptions) {
    this.#options = options
    this.#epoch = options.producer?.epoch ?? 0
  }

  /** The number of the line that is expected next. */
  get next(): number {
    return this.#next
  }

  get epoch(): number {
    return this.#epoch
  }

  /** Its producer has sent all of it. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** A run has this source. */
  get isRead(): boolean {
    return this.#isRead
  }

  readonly source = (signal: AbortSignal): AsyncIterable<CheckedPart> => {
    this.#isRead = true
    return this.#read(signal)
  }

  /** A connection that feeds the answer; those of lower epochs are closed. Throws `producer_fenced`, and `run_conflict` for another producer. */
  attach(producer: Producer | undefined): Feed {
    const { producer: own } = this.#options
    if (own?.id !== producer?.id || (own === undefined && this.#wasFed)) throw new MillraceError('run_conflict')
    if (producer !== undefined && producer.epoch < this.#epoch) throw new MillraceError('producer_fenced')
    if (producer !== undefined && producer.epoch > this.#epoch) this.#closeFeeds(new MillraceError('producer_fenced'))
    this.#epoch = producer?.epoch ?? 0
    this.#wasFed = true
    clearTimeout(this.#timer)
    const feed = new Feed((seq, text) => this.#take(feed, seq, text))
    this.#feeds.add(feed)
    if (this.#isOver) feed.close(new MillraceError('run_ended'))
    return feed
  }

  /** The connection has ended; `isWhole`: not cut. */
  detach(feed: Feed, isWhole: boolean): void {
    if (!this.#feeds.delete(feed) || this.#feeds.size > 0 || this.#end !== undefined || this.#isOver) return
    const { producer, lines, waitMsMax } = this.#options
    if (producer !== undefined) this.#timer = setTimeout(() => this.fail(new MillraceError('producer_lost')), waitMsMax)
    else if (isWhole && lines.mayEnd) this.#complete({})
    else this.fail(new MillraceError('producer_lost'))
  }

  fail(error: MillraceError): void {
    this.#finish({ error })
  }

  /** The run has ended; lines that its producer still sends are rejected. */
  close(): void {
    this.#isOver = true
    this.#parts = []
    clearTimeout(this.#timer)
    this.#closeFeeds(new MillraceError('run_ended'))
  }

  #closeFeeds(error: MillraceError): void {
    for (const feed of this.#feeds) feed.close(error)
    this.#feeds.clear()
    this.#wakeFeeds()
  }

  #wakeFeeds(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  async #take(feed: Feed, seq: number, text: string): Promise<void> {
    if (feed.error !== undefined) throw feed.error
    if (seq < this.#next) return
    if (seq > this.#next) throw new MillraceError('producer_gap', { message: `The line ${this.#next} comes next, not ${seq}.` })
    if (this.#isOver || this.#end !== undefined) throw new MillraceError('run_ended')
    const { parts, end } = this.#options.lines.read(text)
    this.#next += 1
    this.#parts.push(...parts)
    // Room is made when parts are taken, so a line without parts must not use any.
    if (parts.length > 0) this.#characters += text.length
    if (end === undefined) this.#wakeSource()
    else this.#complete(end)
    while (this.#isFull && feed.error === undefined) await this.#room()
  }

  get #isFull(): boolean {
    return this.#parts.length >= waitingMax.parts || this.#characters >= waitingMax.characters
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  #complete(end: NonNullable<Line['end']>): void {
    this.#isWhole = true
    this.#finish(end)
  }

  #finish(end: NonNullable<Line['end']>): void {
    this.#end ??= end
    clearTimeout(this.#timer)
    this.#wakeSource()
  }

  async *#read(signal: AbortSignal): AsyncGenerator<CheckedPart> {
    const wake = () => this.#wakeSource()
    signal.addEventListener('abort', wake, { once: true })
    try {
      while (!signal.aborted) {
        if (this.#parts.length > 0) yield* this.#takeParts()
        else if (this.#end?.error !== undefined) throw this.#end.error
        else if (this.#end !== undefined) return
        else
          await new Promise<void>((resolve) => {
            this.#wakeSource = resolve
          })
      }
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  #takeParts(): CheckedPart[] {
    const parts = this.#parts
    this.#parts = []
    this.#characters = 0
    this.#wakeFeeds()
    return parts
  }
}

/** One connection that feeds an answer. */
export class Feed {
  /** Takes a line. Rejects with `producer_gap`, `producer_fenced`, `run_ended`, and as the reader of lines does. */
  readonly take: (seq: number, text: string) => Promise<void>
  readonly #closing = Promise.withResolvers<MillraceError>()
  #error: MillraceError | undefined

  constructor(take: Feed['take']) {
    this.take = take
  }

  /** Why it takes no line any more. */
  get error(): MillraceError | undefined {
    return this.#error
  }

  /** Resolves when it takes no line any more: nobody need wait for the next one. */
  get closed(): Promise<MillraceError> {
    return this.#closing.promise
  }

  close(error: MillraceError): void {
    this.#error ??= error
    this.#closing.resolve(this.#error)
  }
}
