/**
 * The stream of a provider that speaks OpenAI's protocol, on its way to the package that asked for it. The packages hide
 * how it really ended: they turn unknown finish reasons into `stop`, a cut into an end, and print what they cannot read.
 * So it is read here first. What goes on to the package is always well-formed and ends without an error, so that no text
 * is lost in its queues; what was wrong is in the report, and decides.
 */
import { createSseParser } from '@millrace/protocol'
import { saysFailure } from './end.ts'
import { asFields, type Fields, repairChunk, reportChunk, wholeAnswer } from './provider-chunk.ts'

/** How one stream went; filled while it is read. */
export interface ProviderReport {
  isRead: boolean
  /** Whether the provider said `[DONE]`. */
  isDone: boolean
  hasContent: boolean
  /** Why the model ended, in the provider's own word. */
  reason?: string
  fault?: ProviderFault
}

export interface ProviderFault {
  readonly kind: 'page' | 'json' | 'garbage' | 'too large' | 'broken' | 'error'
  readonly cause?: unknown
}

export interface ProviderStreamOptions {
  /** Whether the package reads content that is a list of parts by itself. */
  readonly readsLists: boolean
  /** Milliseconds after the finish reason in which usage may still come; some providers leave the stream open for ever. */
  readonly afterReasonMs?: number
}

/** A whole answer may come as one event. */
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
        // The provider is not told, and not waited for: a connection that it keeps open must not be kept.
        reader.cancel().catch(() => {})
      },
      cancel: (reason) => reader.cancel(reason),
    },
    // Nothing is read ahead of the package.
    { highWaterMark: 0 },
  )
  const headers = new Headers({ 'content-type': 'text/event-stream' })
  return new Response(body, { status: response.status, statusText: response.statusText, headers })

  async function step(): Promise<void> {
    const piece = await nextPiece()
    if (piece !== undefined) return push(piece)
    isFlushing = true
    if (shape === 'json') endJson()
    else parser.push(encoder.encode('\n\n'))
    isOver = true
  }

  /** Undefined at the end, however it came. */
  async function nextPiece(): Promise<Uint8Array | undefined> {
    let timer: NodeJS.Timeout | undefined
    try {
      const read = reader.read()
      if (endBy === Number.POSITIVE_INFINITY) return (await read).value
      const timeout = new Promise<{ value?: undefined }>((resolve) => {
        timer = setTimeout(() => resolve({}), Math.max(0, endBy - performance.now()))
      })
      return (await Promise.race([read, timeout])).value
    } catch (cause) {
      fail({ kind: 'broken', cause })
      return undefined
    } finally {
      clearTimeout(timer)
    }
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
    // Some keep a connection alive by events that say nothing.
    if (isOver || text === '' || /^(ping|heartbeat|keep-?alive)$/i.test(event)) return
    if (text === '[DONE]') {
      report.isDone = true
      isOver = true
      out += 'data: [DONE]\n\n'
      return
    }
    const chunk = parse(text)
    if (chunk !== undefined) take(chunk, event, text)
    // At the end of the bytes it is an event that was cut, which is no other fault than the cut.
    else if (!isFlushing) fail({ kind: 'garbage' })
  }

  function take(chunk: Fields, event: string, text?: string): void {
    const { error, reason, hasContent } = reportChunk(chunk, event)
    if (error !== undefined) return fail({ kind: 'error', cause: error })
    const isFirst = !report.hasContent
    // Some say `stop` in each chunk: where more comes after it, it is no sign that nothing will.
    const saysMore = report.reason !== undefined && hasContent
    if (saysMore) endBy = Number.POSITIVE_INFINITY
    else if (reason !== undefined && report.reason === undefined) endBy = performance.now() + afterReasonMs
    if (reason !== undefined) report.reason = reason
    report.hasContent ||= hasContent
    const repaired = readsLists ? chunk : repairChunk(chunk, isFirst)
    const name = event === 'message' ? '' : `event: ${event}\n`
    out += `${name}data: ${repaired === chunk && text !== undefined ? text.replaceAll('\n', '\ndata: ') : JSON.stringify(repaired)}\n\n`
  }

  /** After its finish reason an answer is whole, whatever comes; only of a failure more can be learnt. */
  function fail(fault: ProviderFault): void {
    if (report.reason === undefined || (fault.kind === 'error' && saysFailure(report.reason))) report.fault ??= fault
    isOver = true
  }
}

/** By its first character, not by what the headers say: servers of this protocol send all sorts. */
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
    // Not JSON, which is the answer.
    return undefined
  }
}
