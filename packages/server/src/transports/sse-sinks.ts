/** What an event stream is written to: a socket or a response of Node, or a web stream. */
import type { Writable } from 'node:stream'
import { MillraceError } from '@millrace/protocol'
import type { ControlText } from './control-text.ts'
import type { SseSink } from './sse-reader.ts'

/** The client closes after the last event; the server closes after this time. */
const lingerMs = 10_000

export class NodeSink implements SseSink {
  bytes = 0
  readonly #body: Writable
  /** Bodies that have ended and whose clients have not closed, unless the server is a host's. */
  readonly #lingering: Set<Writable> | undefined

  constructor(body: Writable, lingering: Set<Writable> | undefined) {
    this.#body = body
    this.#lingering = lingering
  }

  write(bytes: Uint8Array): boolean {
    this.bytes += bytes.length
    return this.#body.write(bytes)
  }

  end(): void {
    const body = this.#body
    const lingering = this.#lingering
    body.end()
    // The client may never read what is left, nor close.
    const timer = setTimeout(() => body.destroy(), lingerMs)
    timer.unref()
    lingering?.add(body)
    body.once('close', () => {
      clearTimeout(timer)
      lingering?.delete(body)
    })
  }

  destroy(): void {
    this.#body.destroy()
  }
}

export class WebSink implements SseSink {
  bytes = 0
  readonly #controller: ReadableStreamDefaultController<Uint8Array>

  constructor(controller: ReadableStreamDefaultController<Uint8Array>) {
    this.#controller = controller
  }

  write(bytes: Uint8Array): boolean {
    this.bytes += bytes.length
    // A copy: the host may transfer the chunk, and these bytes are shared by all readers.
    this.#controller.enqueue(new Uint8Array(bytes))
    return (this.#controller.desiredSize ?? 0) > 0
  }

  end(): void {
    this.#controller.close()
  }

  destroy(): void {
    this.#controller.error(new Error('The reader has not read for too long.'))
  }
}

/** Writes how a stream ends, where clients do not notice by themselves. */
export class EndingSink implements SseSink {
  readonly #sink: SseSink
  readonly #control: ControlText

  constructor(sink: SseSink, control: ControlText) {
    this.#sink = sink
    this.#control = control
  }

  get bytes(): number {
    return this.#sink.bytes
  }

  write(bytes: Uint8Array): boolean {
    return this.#sink.write(bytes)
  }

  end(cause?: unknown): void {
    const { error, end } = this.#control
    const known = cause instanceof MillraceError || cause === undefined ? cause : new MillraceError('internal', { cause })
    const text = (known === undefined ? '' : error(known)) + end
    if (text !== '') this.#sink.write(Buffer.from(text))
    this.#sink.end()
  }

  destroy(): void {
    this.#sink.destroy()
  }
}
