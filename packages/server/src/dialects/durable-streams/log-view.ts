/** The logs of sessions and channels as streams of JSON: each event is one message. Nothing is merged: messages have offsets. */
import { encodeJson, formatPosition, type Position, parsePosition, type SessionEvents } from '@millrace/protocol'
import { LRUCache } from 'lru-cache'
import type { Engine, LogEvent } from '../../log/log.ts'
import type { Run } from '../../runs/run.ts'
import { dataText } from '../dialect.ts'
import { expired, notFound } from './errors.ts'
import type { Part, View } from './view.ts'

const contentType = 'application/json'
/** A run whose place is forgotten is read from its start again. */
const runsMax = 10_000

/** All that is kept of a log; `after` for a reader that gets nothing from before it. */
export async function viewLog(engine: Engine, log: string, after = 0): Promise<View> {
  const state = await engine.inspect(log)
  if (state === undefined) throw notFound()
  const { epoch, offset } = state.head
  const part = { log, epoch, after: Math.max(after, state.start.offset), upTo: offset }
  return { contentType, parts: [part], isClosed: false, render: (event) => toMessage(event, epoch) }
}

/** The same with newer events. `read`, not `inspect`: of an engine on another machine it answers from memory. */
export async function viewMore(engine: Engine, view: View): Promise<View> {
  const part = view.parts[0] as Part
  const { head } = await engine.read(part.log, { epoch: part.epoch, offset: part.upTo }, { eventsMax: 1 })
  return { ...view, parts: [{ ...part, upTo: head.offset }] }
}

/** One run of a session, from its first event on and closed at its end. `view` is of the session. */
export function viewRun(view: View, run: Pick<Run, 'id' | 'start'>, end: Position | undefined): View {
  const part = view.parts[0] as Part
  if (part.epoch !== run.start.epoch || (end !== undefined && end.epoch !== part.epoch)) throw expired()
  return {
    ...view,
    parts: [{ ...part, after: run.start.offset, upTo: end?.offset ?? part.upTo }],
    isClosed: end !== undefined,
    render: (event) => ((event.data as { run?: string }).run === run.id ? view.render(event) : undefined),
  }
}

/** Finds where a run ended, by reading on from where it looked before; undefined while it is in progress. */
export function createEndFinder(
  engine: Engine,
): (run: Pick<Run, 'id' | 'session' | 'start' | 'end'>) => Promise<Position | undefined> {
  /** Places up to which runs had not ended, or at which they did. */
  const seen = new LRUCache<string, { readonly at: Position; readonly isEnd: boolean }>({ max: runsMax })
  return async ({ id, session, start, end }) => {
    const known = end?.position === undefined ? undefined : parsePosition(end.position)
    if (known !== undefined) return known
    let { at, isEnd } = seen.get(id) ?? { at: start, isEnd: false }
    while (!isEnd) {
      const page = await engine.read(session, at)
      const last = page.events.find(
        ({ type, data }) => type === 'stream_end' && (data as unknown as SessionEvents['stream_end']).run === id,
      )
      at = last === undefined ? page.position : { epoch: at.epoch, offset: last.offset }
      isEnd = last !== undefined
      if (page.events.length === 0) break
    }
    seen.set(id, { at, isEnd })
    return isEnd ? at : undefined
  }
}

function toMessage({ type, data, offset, time }: LogEvent, epoch: string): Uint8Array {
  const content = data instanceof Uint8Array ? dataText(data) : encodeJson(data)
  return Buffer.from(`{"id":"${formatPosition({ epoch, offset })}","event":"${type}","time":${time},"data":${content}}`)
}
