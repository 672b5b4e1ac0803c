/**
 * The long-poll transport: one response at a time, for networks that break streams. It reads from the same positions as a
 * cursor does; the connection does not stay open.
 */
import { encodeJson, type Position } from '@millrace/protocol'
import { dataText } from '../dialects/dialect.ts'
import type { Engine, Page } from '../log/log.ts'
import { isUnavailable, retryWhileUnavailable } from '../log/retry.ts'
import { type Delivery, type HttpTransport, type ReadableLog, type UnreadableLog, unreadPosition } from './transport.ts'

const pageMax = { eventsMax: 8192, bytesMax: 1024 * 1024 }
const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' }

export function createPollTransport(engine: Engine): HttpTransport {
  return {
    headers,

    /** Rejects as `Engine.read` does, and with the error that terminates the connection. */
    async respond({ logs, waitMs = 0, connection }, { signal }) {
      const served = connection.serveResponse(signal)
      try {
        const pages = await readOrWait(engine, logs, waitMs, served.signal)
        served.end()
        const body = Buffer.from(format(logs, pages))
        for (const { events } of pages) served.delivered.events += events.length
        served.delivered.bytes = body.length
        return new Response(body, { headers })
      } finally {
        connection.close()
      }
    },
  }
}

/** One page of each log; where all are empty, waits for the first event, the time or the signal, and reads again. */
async function readOrWait(engine: Engine, logs: Delivery['logs'], waitMs: number, signal: AbortSignal): Promise<Page[]> {
  const until = performance.now() + waitMs
  const isOver = () => signal.aborted || performance.now() >= until
  const readable = logs.filter((log) => 'log' in log)
  const bounds = { ...pageMax, bytesMax: Math.ceil(pageMax.bytesMax / readable.length) }
  const read = ({ log, after }: ReadableLog) =>
    retryWhileUnavailable(() => engine.read(log, after, bounds), { isOver, onUnavailable: () => {}, signal })
  const readAll = () => Promise.all(readable.map(read))
  const notified = Promise.withResolvers<void>()
  // Watched before it is read: an append between the read and the wait has notified, and ends the wait at once.
  const unwatches = readable.map(({ log }) => engine.watch(log, notified.resolve))
  try {
    const pages = await readAll()
    const hasNews = logs.some((log) => !('log' in log) && !log.isKnown) || !pages.every(isEmpty)
    if (hasNews) return pages
    await untilNotified(notified.promise, waitMs, signal)
    return await readAll().catch((error) => {
      // The client gets an empty response; its next request finds out whether the engine is back.
      if (!isUnavailable(error)) throw error
      return pages
    })
  } finally {
    for (const unwatch of unwatches) unwatch()
  }
}

async function untilNotified(notified: Promise<void>, waitMs: number, signal: AbortSignal): Promise<void> {
  const over = Promise.withResolvers<void>()
  const timer = setTimeout(over.resolve, waitMs)
  signal.addEventListener('abort', () => over.resolve(), { once: true })
  if (signal.aborted) over.resolve()
  await Promise.race([notified, over.promise])
  clearTimeout(timer)
}

const isEmpty = ({ events, gap }: Page) => events.length === 0 && gap === undefined

/** With several logs each event names its own, and the position is that of all. */
function format(logs: Delivery['logs'], pages: readonly Page[]): string {
  const rest = pages.values()
  const isOne = logs.length === 1
  const parts = logs.map((log: ReadableLog | UnreadableLog) => {
    const start = isOne ? '{' : `{${encodeJson(log.source).slice(1, -1)},`
    if (!('log' in log))
      return { events: [`${start}"event":"error","data":${encodeJson(log.error.toPublic())}}`], id: unreadPosition }
    return formatPage(log, rest.next().value as Page, start)
  })
  return `{"events":[${parts.flatMap(({ events }) => events).join(',')}],"position":"${parts.map(({ id }) => id).join(',')}"}`
}

function formatPage(
  { dialect, after }: ReadableLog,
  { events, gap, position }: Page,
  start: string,
): { events: string[]; id: string } {
  const entry = (event: string, at: Position, data: string) =>
    `${start}"id":"${dialect.position(at)}","event":"${event}","data":${data}}`
  const entries =
    gap === undefined
      ? []
      : [entry('gap', gap.to, encodeJson({ from: dialect.position(gap.from), to: dialect.position(gap.to) }))]
  for (const event of dialect.merge(events)) {
    const rendered = dialect.render(event)
    if (rendered !== undefined) entries.push(entry(rendered.event, { ...after, offset: event.offset }, dataText(rendered.data)))
  }
  return { events: entries, id: dialect.position(position) }
}
