/**
 * What operators have changed over the admin API, in a log of the engine: also where no lines are written, and whichever server
 * did it. Retention removes the oldest, as of every log.
 */
import type { Json } from '@millrace/protocol'
import type { Engine, LogEvent } from '../log/log.ts'
import type { AdminChange, Observer } from './observer.ts'

export interface RecordedChange extends AdminChange {
  /** Milliseconds since 1970. */
  readonly time: number
}

export interface ChangesPage {
  /** The newest first. */
  readonly changes: readonly RecordedChange[]
  /** The `before` of the next page; absent on the last one. */
  readonly next?: number
}

export interface ChangeRecord {
  readonly observer: Observer
  /** `before`: an offset in the log. */
  list(limit: number, before?: number): Promise<ChangesPage>
}

/** Not the name of a session or a channel: no client can read or write it. */
const changesLog = 'access/changes'
const changesKept = 10_000

export function createChangeRecord(engine: Engine, onError: (error: unknown) => void): ChangeRecord {
  return {
    observer: {
      adminChanged(change) {
        const data = JSON.parse(JSON.stringify(change)) as Json
        engine.append(changesLog, [{ type: 'changed', data }], { keep: changesKept }).catch(onError)
      },
    },
    async list(limit, before = Number.POSITIVE_INFINITY) {
      const state = await engine.inspect(changesLog)
      if (state === undefined) return { changes: [] }
      const { start, head } = state
      const end = Math.min(head.offset, before - 1)
      const first = Math.max(start.offset, end - limit)
      const events: LogEvent[] = []
      for (let position = { epoch: head.epoch, offset: first }; position.offset < end; ) {
        const page = await engine.read(changesLog, position, { eventsMax: end - position.offset })
        events.push(...page.events)
        position = page.position
      }
      const changes = events.map(({ data, time }) => ({ ...(data as unknown as AdminChange), time })).reverse()
      return { changes, ...(first > start.offset && { next: first + 1 }) }
    },
  }
}
