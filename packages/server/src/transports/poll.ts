/**
 * Long-poll: one answer at a time, for networks that break streams. The same read as every cursor's,
 * from the same positions; what it lacks is only the connection that stays.
 */
import type { Position } from '@millrace/protocol'
import { type Dialect, dataText } from '../dialects/dialect.ts'
import type { Engine } from '../log/log.ts'
import { isUnavailable, retryWhileUnavailable } from '../log/retry.ts'

const pageMax = { eventsMax: 8192, bytesMax: 1024 * 1024 }

export interface PollStream {
  readonly log: string
  readonly after: Position
  readonly dialect: Dialect
}

export interface PollOptions {
  /** How long to wait for the first event. */
  readonly waitMs: number
  /** Aborts when the client has gone; the answer is then of no interest. */
  readonly signal: AbortSignal
}

export interface PollTransport {
  /** The body of an answer: PROTOCOL.md, `live=poll`. Rejects as `Engine.read` does. */
  answer(stream: PollStream, options: PollOptions): Promise<string>
  /** Answers that are waited for. */
  readonly waiting: number
  /** Ends so many waits with what there is. */
  letGo(count: number): void
}

export function createPollTransport(engine: Engine): PollTransport {
  const waits = new Set<() => void>()

  return {
    async answer({ log, after, dialect }, { waitMs, signal }) {
      const until = performance.now() + waitMs
      const isOver = () => signal.aborted || performance.now() >= until
      const read = () =>
        retryWhileUnavailable(() => engine.read(log, after, pageMax), { isOver, onUnavailable: () => {}, signal })
      let isRung = false
      let ring = () => {
        isRung = true
      }
      // Watched before it is read: what comes in between has rung, and is not waited for.
      const unwatch = engine.watch(log, () => ring())
      try {
        let page = await read()
        if (page.events.length === 0 && page.gap === undefined) {
          await new Promise<void>((resolve) => {
            ring = wait(resolve, waitMs, signal)
            if (isRung) ring()
          })
          page = await read().catch((error) => {
            // There is nothing that it knows of, and the next one finds out.
            if (!isUnavailable(error)) throw error
            return page
          })
        }
        const events = page.gap === undefined ? [] : [entry('gap', page.gap.to, gapData(page.gap))]
        for (const event of dialect.merge(page.events)) {
          const rendered = dialect.render(event)
          if (rendered !== undefined)
            events.push(entry(rendered.event, { ...after, offset: event.offset }, dataText(rendered.data)))
        }
        return `{"events":[${events.join(',')}],"position":"${dialect.position(page.position)}"}`
      } finally {
        unwatch()
      }

      function entry(event: string, position: Position, data: string): string {
        return `{"id":"${dialect.position(position)}","event":"${event}","data":${data}}`
      }

      function gapData({ from, to }: { from: Position; to: Position }): string {
        return JSON.stringify({ from: dialect.position(from), to: dialect.position(to) })
      }
    },
    get waiting() {
      return waits.size
    },
    letGo(count) {
      for (const end of [...waits].slice(0, count)) end()
    },
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
