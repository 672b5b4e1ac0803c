/** One run in a dialect of other people's clients: in server-sent events, in lines, or as text without frames. */
import { encodeJson, encodeSseComment, encodeSseEvent, formatPosition, MillraceError, type Position } from '@millrace/protocol'
import type { Encode, Wire } from '../delivery/wire.ts'
import { mergeDeltas } from '../dialects/merge.ts'
import { formatFrameId, type RunPlace } from '../dialects/replay.ts'
import type { Frame } from '../dialects/run-dialect.ts'
import type { ControlText } from './control-text.ts'
import { sinceStart } from './run-since.ts'
import type { RunForm, RunStream } from './transport.ts'

export interface RunWire {
  readonly wire: Wire
  readonly control: ControlText
  /** What a reader that resumes lacks of the event at its place. */
  encodeRest(place: RunPlace): string
  /** Of a reader that has had every event up to its place. */
  encoderAt(place: RunPlace): Encode
}

/**
 * `isChunked`: in chunks of HTTP/1.1. Without them clients take a connection that was cut for a response that has ended, and
 * most of them take that for the end of the answer.
 */
export function createRunWire(stream: RunStream, isChunked: boolean): RunWire {
  const { session, run, dialect, form } = stream
  const pack = isChunked ? chunk : asIs
  const write = (frames: readonly Frame[], position?: Position, has = 0): string => {
    if (frames.length === 0) return ''
    const token = position && dialect.hasIds ? formatPosition(position, session) : undefined
    const count = has + frames.length
    const idOf = (index: number) => token && formatFrameId(token, has + index, count)
    return pack(frames.map((frame, index) => formats[form](frame, idOf(index))).join(''))
  }
  const encoderOf =
    (render: RunPlace['render']): Encode =>
    (event, epoch) =>
      write(render(event), { epoch, offset: event.offset })
  const fail = (error: MillraceError) => write(dialect.fail(error))
  return {
    wire: {
      key: `${isChunked ? 'chunked ' : ''}${form} ${run} ${dialect.key}`,
      ...sinceStart(stream, encoderOf),
      encodeGap: () => fail(new MillraceError('position_expired')),
      // The numbers of the frames of a merged event would be others.
      merge: dialect.merges && !dialect.hasIds ? mergeDeltas : (events) => events,
    },
    control: {
      greeting: () => (form === 'sse' ? pack(encodeSseComment('millrace')) : ''),
      heartbeat: (clock) => (form === 'text' ? '' : pack(form === 'sse' ? encodeSseComment(`${clock}`) : '\n')),
      error: fail,
      end: isChunked ? '0\r\n\r\n' : '',
    },
    encodeRest: ({ rest, after, has, isRepeated }) => write(rest, isRepeated ? undefined : after, has),
    encoderAt: ({ render }) => encoderOf(render),
  }
}

const asIs = (text: string) => text

function chunk(text: string): string {
  return text === '' ? '' : `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}

const formats: Readonly<Record<RunForm, (frame: Frame, id: string | undefined) => string>> = {
  sse: ({ event, data }, id) => encodeSseEvent({ ...(event !== undefined && { event }), ...(id !== undefined && { id }), data }),
  lines: ({ data }, id) => (id === undefined ? `${data}\n` : `{"id":${encodeJson(id)},"chunk":${data}}\n`),
  text: ({ data }) => data,
}

/** Beside those of every stream. */
export const formHeaders: Readonly<Record<RunForm, Readonly<Record<string, string>>>> = {
  sse: {},
  lines: { 'content-type': 'application/x-ndjson; charset=utf-8' },
  text: { 'content-type': 'text/plain; charset=utf-8' },
}
