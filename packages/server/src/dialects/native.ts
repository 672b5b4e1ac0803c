/** Millrace's own two renderings of a session's log: PROTOCOL.md#events. */
import { encodeJson, formatPosition, type SessionEvents } from '@millrace/protocol'
import type { LogEvent } from '../log/log.ts'
import type { Dialect, Rendered } from './dialect.ts'
import { mergeDeltas } from './merge.ts'

/** Everything that happens in the session, as it stands in the log. */
export const sessionDialect: Dialect = {
  key: 'session',
  render: asLogged,
  position: (position) => formatPosition(position),
  merge: mergeDeltas,
  isLast: () => false,
}

/** What is published into a channel, event by event: nothing is known of what it means, so nothing is merged. */
export const channelDialect: Dialect = {
  key: 'channel',
  render: asLogged,
  position: (position) => formatPosition(position),
  merge: (events) => events,
  isLast: () => false,
}

/** Everything that happens in the session, in the shapes of the reference document: neither run nor lane is named. */
export const plainDialect: Dialect = {
  key: 'plain',
  render: oneLane,
  position: (position) => formatPosition(position),
  merge: mergeDeltas,
  isLast: () => false,
}

export interface ChatDialectOptions {
  readonly session: string
  readonly run: string
  /** With one lane, deltas do not name it. */
  readonly lanes: number
  /** `lane` names the events of a lane after it, for readers that listen by event name. */
  readonly events?: 'type' | 'lane'
}

/** One run of a session, in the shapes of the reference document: `{"text":"你"}` … `{"status":"completed"}`. */
export function chatDialect({ session, run, lanes, events = 'type' }: ChatDialectOptions): Dialect {
  const isOurs = (event: LogEvent) => (event.data as { run?: string }).run === run

  return {
    key: `chat ${run} ${lanes} ${events}`,
    render(event) {
      if (!isOurs(event)) return undefined
      const rendered = lanes === 1 ? oneLane(event) : severalLanes(event)
      if (rendered === undefined || events === 'type' || !('lane' in (event.data as object))) return rendered
      return { ...rendered, event: (event.data as { lane: string }).lane }
    },
    position: (position) => formatPosition(position, session),
    merge: (all) => mergeDeltas(all.filter(isOurs)),
    isLast: (event) => event.type === 'stream_end' && isOurs(event),
  }
}

function asLogged({ type, data }: LogEvent): Rendered {
  return { event: type, data: data instanceof Uint8Array ? data : encodeJson(data) }
}

function oneLane({ type, data }: LogEvent): Rendered | undefined {
  // Bytes do not say of which run they are; who was told of a file reads them where it was told: PROTOCOL.md#files.
  if (data instanceof Uint8Array) return undefined
  // A delta is by far the most frequent event, so it is written without building another object.
  if (type === 'message') return { event: type, data: `{"text":${encodeJson((data as SessionEvents['message']).text)}}` }
  if (type === 'lane_end') return undefined
  if (type === 'stream_start') {
    const { session, run, lanes, continues } = data as unknown as SessionEvents['stream_start']
    return { event: type, data: encodeJson({ session, run, continues, model: lanes[0]?.model }) }
  }
  const { run: _run, lane: _lane, ...rest } = data as Record<string, unknown>
  return { event: type, data: encodeJson(rest) }
}

function severalLanes({ type, data }: LogEvent): Rendered {
  if (type === 'stream_start') {
    const { session, run, lanes, continues } = data as unknown as SessionEvents['stream_start']
    return { event: type, data: encodeJson({ session, run, continues, lanes }) }
  }
  const { run: _run, lane, ...rest } = data as Record<string, unknown>
  return { event: type, data: encodeJson(lane === undefined ? rest : { ...rest, lane }) }
}
