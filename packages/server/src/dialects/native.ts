/** Millrace's own dialects: PROTOCOL.md#events. */
import { encodeJson, formatPosition, type SessionEvents } from '@millrace/protocol'
import type { LogEvent } from '../log/log.ts'
import type { Dialect, Dialects, Rendered, RunView } from './dialect.ts'
import { mergeDeltas } from './merge.ts'

/** Every event of the session, as it is in the log. */
const sessionDialect: Dialect = {
  key: 'session',
  render: asLogged,
  position: (position) => formatPosition(position),
  merge: mergeDeltas,
  isLast: () => false,
}

/** Every event of a channel. Their meaning is the publisher's, so none are merged. */
const channelDialect: Dialect = {
  key: 'channel',
  render: asLogged,
  position: (position) => formatPosition(position),
  merge: (events) => events,
  isLast: () => false,
}

/** Every event of the session, in the shapes of the reference document: without run and lane. */
const plainDialect: Dialect = {
  key: 'plain',
  render: oneLane,
  position: (position) => formatPosition(position),
  merge: mergeDeltas,
  isLast: () => false,
}

/**
 * One run of a session, without the numbers of its parts, which a reader of a single run does not need. In the shapes of
 * the reference document: `{"text":"你"}` … `{"status":"completed"}`.
 */
function chatDialect({ session, run, lanes, events = 'type' }: RunView): Dialect {
  const isOurs = (event: LogEvent) => (event.data as { run?: string }).run === run

  return {
    key: `chat ${run} ${lanes} ${events}`,
    render(event) {
      if (!isOurs(event)) return undefined
      // It comes after the run's end, with which its readers have stopped.
      if (event.type === 'tool_decision') return undefined
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
  // Bytes do not name their run. The `file` event before them has their position: PROTOCOL.md#files.
  if (data instanceof Uint8Array) return undefined
  // By far the most frequent event, so it is encoded without building another object.
  if (type === 'message') return { event: type, data: `{"text":${encodeJson((data as SessionEvents['message']).text)}}` }
  if (type === 'lane_end') return undefined
  if (type === 'stream_start') {
    const { session, run, lanes, continues } = data as unknown as SessionEvents['stream_start']
    return { event: type, data: encodeJson({ session, run, continues, model: lanes[0]?.model }) }
  }
  const { run: _run, lane: _lane, part: _part, ...rest } = data as Record<string, unknown>
  return { event: type, data: encodeJson(rest) }
}

function severalLanes({ type, data }: LogEvent): Rendered {
  if (type === 'stream_start') {
    const { session, run, lanes, continues } = data as unknown as SessionEvents['stream_start']
    return { event: type, data: encodeJson({ session, run, continues, lanes }) }
  }
  const { run: _run, lane, part: _part, ...rest } = data as Record<string, unknown>
  return { event: type, data: encodeJson(lane === undefined ? rest : { ...rest, lane }) }
}

export const nativeDialects: Dialects = {
  session: { session: sessionDialect, plain: plainDialect },
  channel: channelDialect,
  run: chatDialect,
}
