/** The body of a request, split into lines while it arrives. Each line has a bound in bytes, and nothing is read ahead. */
import { createSseParser, type ErrorCode, eventBytesMax, MillraceError } from '@millrace/protocol'

export type BodyForm = 'lines' | 'events' | 'text'

export interface LineSplitter {
  push(chunk: Uint8Array): readonly string[]
  /** What is left at the end of a body that is whole. */
  end(): readonly string[]
}

/** Throws `event_too_large`. */
export function createSplitter(form: BodyForm, bytesMax = eventBytesMax): LineSplitter {
  if (form === 'events') return splitEvents(bytesMax)
  const decoder = new TextDecoder()
  if (form === 'text')
    return { push: (chunk) => filled(decoder.decode(chunk, { stream: true })), end: () => filled(decoder.decode()) }
  let line = ''
  let bytes = 0
  return {
    push(chunk) {
      const lines: string[] = []
      let from = 0
      for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
        add(chunk.subarray(from, at))
        lines.push(...filled(line.trim()))
        line = ''
        bytes = 0
        from = at + 1
      }
      add(chunk.subarray(from))
      return lines
    },
    end: () => filled((line + decoder.decode()).trim()),
  }

  function add(piece: Uint8Array): void {
    bytes += piece.length
    if (bytes > bytesMax) throw tooLarge()
    line += decoder.decode(piece, { stream: true })
  }
}

function splitEvents(bytesMax: number): LineSplitter {
  let lines: string[] = []
  let isTooLarge = false
  const parser = createSseParser({
    eventBytesMax: bytesMax,
    onEvent: ({ data }) => lines.push(data),
    onError: () => {
      isTooLarge = true
    },
  })
  return {
    push(chunk) {
      lines = []
      parser.push(chunk)
      if (isTooLarge) throw tooLarge()
      return lines
    },
    end: () => [],
  }
}

function filled(text: string): string[] {
  return text === '' ? [] : [text]
}

function tooLarge(): MillraceError {
  return new MillraceError('event_too_large', { message: 'A line is larger than 1 MiB; send it as several.' })
}

export interface BodyLinesOptions {
  readonly stream: ReadableStream<Uint8Array> | null
  readonly splitter: LineSplitter
  /** Called with the size of each chunk; throws to end the reading. */
  readonly onBytes: (bytes: number) => void
}

export class BodyLines {
  readonly #options: BodyLinesOptions
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  // By default the connection was cut, and nobody gets this error.
  #problem: ErrorCode = 'malformed_http'
  #isDone = false
  #kept: readonly string[] = []

  constructor(options: BodyLinesOptions) {
    this.#options = options
    this.#reader = options.stream?.getReader()
  }

  /** The next lines, at least one; undefined at the end of the body. Rejects where it is cut, or is not read any more. */
  async next(): Promise<readonly string[] | undefined> {
    for (;;) {
      const lines = this.#kept.length > 0 ? this.#kept : await this.#read()
      this.#kept = []
      if (lines === undefined || lines.length > 0) return lines
    }
  }

  /** The first line, which is returned again by `next`. Rejects with `request_timeout`. */
  async peek(msMax: number): Promise<string | undefined> {
    const timer = setTimeout(() => this.stop('request_timeout'), msMax)
    try {
      this.#kept = (await this.next()) ?? []
      return this.#kept[0]
    } finally {
      clearTimeout(timer)
    }
  }

  /** Rejects the read in progress and those after it. (A promise raced with each read would keep the memory of every result.) */
  stop(problem: ErrorCode): void {
    this.#problem = problem
    this.#reader?.releaseLock()
  }

  /** Reads and drops the rest for at most `msMax`: a client that is still sending does not read the response. Never rejects. */
  async discard(msMax: number): Promise<void> {
    if (this.#isDone || this.#reader === undefined) return
    // `stop` has released it.
    this.#reader.releaseLock()
    const reader = (this.#options.stream as ReadableStream<Uint8Array>).getReader()
    const timer = setTimeout(() => void reader.cancel().catch(() => {}), msMax).unref()
    try {
      while (!(await reader.read()).done);
    } catch {
      // The client has left.
    } finally {
      clearTimeout(timer)
    }
  }

  async #read(): Promise<readonly string[] | undefined> {
    const { splitter, onBytes } = this.#options
    if (this.#isDone || this.#reader === undefined) return undefined
    let chunk: { readonly done: boolean; readonly value?: Uint8Array | undefined }
    try {
      chunk = await this.#reader.read()
    } catch (cause) {
      throw new MillraceError(this.#problem, { cause })
    }
    if (chunk.done || chunk.value === undefined) {
      this.#isDone = true
      return splitter.end()
    }
    onBytes(chunk.value.byteLength)
    return splitter.push(chunk.value)
  }
}
