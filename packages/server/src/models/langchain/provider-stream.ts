/**
 * Reads the stream of a provider that speaks OpenAI's protocol before LangChain's package does. The packages hide how a
 * stream ended: they turn unknown finish reasons into `stop`, a cut into an end, and print what they cannot parse. The
 * package gets a well-formed stream that ends without an error, so that no text is lost in its queues; the report has
 * the faults, and decides how the answer ended.
 */
import { createSseParser } from '@millrace/protocol'
import { saysFailure } from './end.ts'
import { asFields, type Fields, repairChunk, reportChunk, wholeAnswer } from './provider-chunk.ts'

/** How one stream ended; filled while it is read. */
export interface ProviderReport {
  isRead: boolean
  /** Whether the provider sent `[DONE]`. */
  isDone: boolean
  hasContent: boolean
  /** The finish reason, in the provider's term. */
  reason?: string
  fault?: ProviderFault
}

export interface ProviderFault {
  readonly kind: 'page' | 'json' | 'garbage' | 'too large' | 'broken' | 'error'
  readonly cause?: unknown
}

export interface ProviderStreamOptions {
  /** Whether the package can read content that is a list of parts. */
  readonly readsLists: boolean
  /** How long to wait for usage after the finish reason; some providers never close the stream. Default 1,000. */
  readonly afterReasonMs?: number
}

/** A complete answer may be one event. */
const eventBytesMax = 16 * 1_048_576

export function readProviderStream(response: Response, report: ProviderReport, options: ProviderStreamOptions): Response {
  const { readsLists, afterReasonMs = 1000 } = options
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const encoder = new TextEncoder()
  const decoder = new TextDecoder()
  const parser = createSseParser({ onEvent, onError: () => fail({ kind: 'too large' }), eventBytesMax })
  let shape: ReturnType<typeof shapeOf>
  let json = ''
  let out = ''
  let isOver = false
  let isFlushing = false
  let endBy = Number.POSITIVE_INFINITY
  report.isRead = true

  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        while (out === '' && !isOver) await step()
        if (out !== '') controller.enqueue(encoder.encode(out))
        out = ''
        if (!isOver) return
        controller.close()
        // Not awaited: the provider may keep its connection open.
        reader.cancel().catch(() => {})
      },
      cancel: (reason) => reader.cancel(reason),
    },
    // Reads no chunk before the package asks for it.
    { highWaterMark: 0 },
  )
  const headers = new Headers({ 'content-type': 'text/event-stream' })
  return new Response(body, { status: response.status, statusText: response.statusText, headers })

  async function step(): Promise<void> {
    const piece = await readBefore(reader, endBy).catch((cause: unknown) => fail({ kind: 'broken', cause }))
    if (piece !== undefined) return push(piece)
    isFlushing = true
    if (shape === 'json') endJson()
    else parser.push(encoder.encode('\n\n'))
    isOver = true
  }

  function push(piece: Uint8Array): void {
    shape ??= shapeOf(piece)
    if (shape === 'page') fail({ kind: 'page' })
    else if (shape !== 'json') parser.push(piece)
    else if (json.length > eventBytesMax) fail({ kind: 'too large' })
    else json += decoder.decode(piece, { stream: true })
  }

  function endJson(): void {
    const body = parse(json)
    const answer = body && wholeAnswer(body)
    if (answer !== undefined) take(answer, 'message')
    else if (body === undefined || reportChunk(body, 'message').error === undefined) fail({ kind: 'json' })
    else take(body, 'message')
  }

  function onEvent({ event, data }: { event: string; data: string }): void {
    const text = data.trim()
    // Some providers keep a connection alive with events without content.
    if (isOver || text === '' || /^(ping|heartbeat|keep-?alive)$/i.test(event)) return
    if (text === '[DONE]') {
      report.isDone = true
      isOver = true
      out += 'data: [DONE]\n\n'
      return
    }
    const chunk = parse(text)
    if (chunk !== undefined) take(chunk, event, text)
    // At the end of the bytes it is an event that was cut; the cut is reported already.
    else if (!isFlushing) fail({ kind: 'garbage' })
  }

  function take(chunk: Fields, event: string, text?: string): void {
    const { error, reason, hasContent } = reportChunk(chunk, event)
    if (error !== undefined) return fail({ kind: 'error', cause: error })
    const isFirst = !report.hasContent
    // Some send `stop` in each chunk: if content follows, it was not the end.
    const saysMore = report.reason !== undefined && hasContent
    if (saysMore) endBy = Number.POSITIVE_INFINITY
    else if (reason !== undefined && report.reason === undefined) endBy = performance.now() + afterReasonMs
    if (reason !== undefined) report.reason = reason
    report.hasContent ||= hasContent
    const repaired = readsLists ? chunk : repairChunk(chunk, isFirst)
    out += formatEvent(event, repaired === chunk && text !== undefined ? text : JSON.stringify(repaired))
  }

  /** After a finish reason an answer is complete despite a fault; only the details of a failure may follow. */
  function fail(fault: ProviderFault): void {
    if (report.reason === undefined || (fault.kind === 'error' && saysFailure(report.reason))) report.fault ??= fault
    isOver = true
  }
}

/** Resolves with undefined at the end of the stream, or at `endBy`. */
async function readBefore(reader: ReadableStreamDefaultReader<Uint8Array>, endBy: number): Promise<Uint8Array | undefined> {
  const read = reader.read()
  if (endBy === Number.POSITIVE_INFINITY) return (await read).value
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<{ value?: undefined }>((resolve) => {
    timer = setTimeout(() => resolve({}), Math.max(0, endBy - performance.now()))
  })
  return (await Promise.race([read, timeout]).finally(() => clearTimeout(timer))).value
}

function formatEvent(event: string, data: string): string {
  const name = event === 'message' ? '' : `event: ${event}\n`
  return `${name}data: ${data.replaceAll('\n', '\ndata: ')}\n\n`
}

/** Judged by the first character: the headers of such servers are unreliable. */
function shapeOf(piece: Uint8Array): 'events' | 'json' | 'page' | undefined {
  const first = new TextDecoder().decode(piece.subarray(0, 64)).trimStart()[0]
  if (first === undefined) return undefined
  return first === '<' ? 'page' : first === '{' || first === '[' ? 'json' : 'events'
}

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? asFields(value) : undefined
  } catch {
    // Not JSON.
    return undefined
  }
}
