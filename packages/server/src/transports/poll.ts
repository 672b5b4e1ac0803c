/**
 * Long-poll: one answer at a time, for networks that break streams. The same read as every cursor's,
 * from the same positions; what it lacks is only the connection that stays.
 */
import { encodeJson, type Position } from '@millrace/protocol'
import { dataText } from '../dialects/dialect.ts'
import type { Engine, Page } from '../log/log.ts'
import { isUnavailable, retryWhileUnavailable } from '../log/retry.ts'
import { type ReadableLog, type UnreadableLog, unreadPosition } from './logs.ts'

const pageMax = { eventsMax: 8192, bytesMax: 1024 * 1024 }

export interface PollOptions {
  /** How long to wait for the first event. */
  readonly waitMs: number
  /** Aborts when the client has gone; the answer is then of no interest. */
  readonly signal: AbortSignal
}

export interface PollTransport {
  /** The body of an answer: PROTOCOL.md, `live=poll`. Rejects as `Engine.read` does. */
  answer(logs: readonly (ReadableLog | UnreadableLog)[], options: PollOptions): Promise<string>
  /** Requests that wait for events. */
  readonly connections: number
  /** Answers up to this number of them with what there is. */
  drain(count: number): void
}

export function createPollTransport(engine: Engine): PollTransport {
  const waits = new Set<() => void>()

  return {
    async answer(logs, { waitMs, signal }) {
      const until = performance.now() + waitMs
      const isOver = () => signal.aborted || performance.now() >= until
      const readable = logs.filter((log) => 'log' in log)
      const readAll = () => readPages(readable, { isOver, onUnavailable: () => {}, signal })
      let isNotified = false
      let ring = () => {
        isNotified = true
      }
      // Watched before it is read: what comes in between has rung, and is not waited for.
      const unwatches = readable.map(({ log }) => engine.watch(log, () => ring()))
      try {
        let pages = await readAll()
        if (logs.every((log) => 'log' in log || log.isKnown) && pages.every(isEmpty)) {
          await new Promise<void>((resolve) => {
            ring = wait(resolve, waitMs, signal)
            if (isNotified) ring()
          })
          pages = await readAll().catch((error) => {
            // There is nothing that it knows of, and the next one finds out.
            if (!isUnavailable(error)) throw error
            return pages
          })
        }
        return format(logs, pages)
      } finally {
        for (const unwatch of unwatches) unwatch()
      }
    },
    get connections() {
      return waits.size
    },
    drain(count) {
      for (const end of [...waits].slice(0, count)) end()
    },
  }

  function readPages(logs: readonly ReadableLog[], until: Parameters<typeof retryWhileUnavailable>[1]): Promise<Page[]> {
    const bounds = { ...pageMax, bytesMax: Math.ceil(pageMax.bytesMax / logs.length) }
    return Promise.all(logs.map(({ log, after }) => retryWhileUnavailable(() => engine.read(log, after, bounds), until)))
  }

  /** Calls `resolve` after the time, when the client goes, at the end of the server, or when what it returns is called. */
  function wait(resolve: () => void, waitMs: number, signal: AbortSignal): () => void {
    const timer = setTimeout(end, waitMs)
    waits.add(end)
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    return end

    function end(): void {
      clearTimeout(timer)
      waits.delete(end)
      signal.removeEventListener('abort', end)
      resolve()
    }
  }
}

const isEmpty = ({ events, gap }: Page) => events.length === 0 && gap === undefined

/** With several logs each event names its own, and the position is that of all. */
function format(logs: readonly (ReadableLog | UnreadableLog)[], pages: readonly Page[]): string {
  const rest = pages.values()
  const isOne = logs.length === 1
  const parts = logs.map((log) => {
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
