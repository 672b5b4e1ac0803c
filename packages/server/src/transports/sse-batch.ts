/**
 * Many logs in one SSE stream: an event `batch` whose data is one JSON line for each event of any of the
 * logs, and whose id holds the position in every log. Lines are encoded once for all readers of a log.
 * See PROTOCOL.md#several-logs-in-one-stream.
 */
import { encodeJson, type MillraceError, type Position, type Source } from '@millrace/protocol'
import type { Cursor } from '../delivery/cursor.ts'
import { CursorGroup } from '../delivery/cursor-group.ts'
import type { Attachment } from '../delivery/fan-out.ts'
import type { Scheduler } from '../delivery/scheduler.ts'
import { type Sink, throttled, type Wire } from '../delivery/wire.ts'
import { type Dialect, dataText } from '../dialects/dialect.ts'
import { type ReadableLog, type UnreadableLog, unreadPosition } from './transport.ts'

export interface BatchOptions {
  readonly attach: (attachment: Attachment) => Cursor
  readonly scheduler: Scheduler
  readonly logs: readonly (ReadableLog | UnreadableLog)[]
  readonly sink: Sink
}

export function attachBatch({ attach, scheduler, logs, sink }: BatchOptions): CursorGroup {
  const readable = logs.filter((log) => 'log' in log)
  const encodeFrame = (lines: readonly Uint8Array[], positions: readonly Position[]) => {
    const ids = logs.map((log) =>
      'log' in log ? log.dialect.position(positions[readable.indexOf(log)] as Position) : unreadPosition,
    )
    return Buffer.concat([Buffer.from(`event: batch\nid: ${ids.join(',')}\n`), ...lines, endOfEvent])
  }
  const unreadable = logs.filter((log) => 'error' in log).map(({ source, error }) => errorLine(source, error))
  if (unreadable.length > 0)
    sink.write(
      encodeFrame(
        unreadable,
        readable.map(({ after }) => after),
      ),
    )
  const members = readable.map(({ source, log, after, dialect, slow, intervalMs }) => ({
    log,
    after,
    slow,
    wire: throttled(batchWire(dialect, source), intervalMs),
    encodeEnd: (error: MillraceError) => errorLine(source, error),
  }))
  return new CursorGroup({ attach, scheduler, members, sink, encodeFrame })
}

const endOfEvent = Buffer.from('\n')

/** One line of a batch for each event. JSON has no line ends, so a line is one `data` field. */
function batchWire(dialect: Dialect, source: Source): Wire {
  const start = `data: {${encodeJson(source).slice(1, -1)},"id":"`
  const line = (event: string, position: Position, data: string) =>
    `${start}${dialect.position(position)}","event":${encodeJson(event)},"data":${data}}\n`
  return {
    key: `sse batch ${dialect.key}`,
    encode(event, epoch) {
      const rendered = dialect.render(event)
      return rendered === undefined ? '' : line(rendered.event, { epoch, offset: event.offset }, dataText(rendered.data))
    },
    encodeGap: (from, to) => line('gap', to, encodeJson({ from: dialect.position(from), to: dialect.position(to) })),
    merge: dialect.merge,
    isLast: dialect.isLast,
  }
}

function errorLine(source: Source, error: MillraceError): Uint8Array {
  return Buffer.from(`data: ${encodeJson({ ...source, event: 'error', data: error.toPublic() })}\n`)
}
