/**
 * A dialect in WebSocket frames, framed once for all readers. A server's frames are not masked, so the
 * bytes of a message are the same on every connection (RFC 6455, "Base Framing Protocol").
 */
import { formatPosition, MillraceError, type Position, type Source } from '@millrace/protocol'
import type { Encode, Wire } from '../delivery/wire.ts'
import { type Dialect, dataText } from '../dialects/dialect.ts'
import { formatFrameId, type RenderEvent, type RunPlace } from '../dialects/replay.ts'
import type { Frame } from '../dialects/run-dialect.ts'
import { sinceStart } from './run-since.ts'
import type { SocketRun } from './transport.ts'

const finalText = 0x81
const finalBinary = 0x82

/** Everything in a log, each event with its source and position: `{"type":"event","session":…}`. */
export function eventFrames(dialect: Dialect, source: Source): Wire {
  const start = `{"type":"event",${JSON.stringify(source).slice(1, -1)},"id":"`
  const header = (event: string, position: Position) => `${start}${dialect.position(position)}","event":${JSON.stringify(event)}`
  const frame = (event: string, position: Position, data: string) => textFrame(`${header(event, position)},"data":${data}}`)
  return {
    key: `ws ${dialect.key}`,
    encode(event, epoch) {
      const rendered = dialect.render(event)
      if (rendered === undefined) return ''
      const position = { epoch, offset: event.offset }
      if (typeof rendered.data === 'string') return frame(rendered.event, position, rendered.data)
      return binaryFrame(`${header(rendered.event, position)}}`, rendered.data)
    },
    encodeGap: (from, to) => frame('gap', to, JSON.stringify({ from: dialect.position(from), to: dialect.position(to) })),
    merge: dialect.merge,
    isLast: dialect.isLast,
  }
}

/** One run in the shapes of the reference document: its data and nothing else, from the first word to the end. */
export function plainFrames(dialect: Dialect): Wire {
  return {
    key: `ws plain ${dialect.key}`,
    encode(event) {
      // Without a position a file could not be read.
      const isLeftOut = event.type === 'stream_start' || event.type === 'file'
      const rendered = isLeftOut ? undefined : dialect.render(event)
      return rendered === undefined ? '' : textFrame(dataText(rendered.data))
    },
    encodeGap: (from, to) => textFrame(JSON.stringify({ gap: { from: dialect.position(from), to: dialect.position(to) } })),
    merge: dialect.merge,
    isLast: dialect.isLast,
  }
}

export interface RunFrames {
  readonly wire: Wire
  /** What a reader that resumes lacks of the event at its place. */
  encodeRest(place: RunPlace): Buffer
  encoderAt(place: RunPlace): Encode
}

/** One run in messages that another product's clients expect, each with its number in the run. */
export function runFrames(socketRun: SocketRun): RunFrames {
  const { session, run, dialect, format, message } = socketRun
  const encode = (frames: readonly Frame[], position: Position, first: number, has: number): Buffer => {
    const token = formatPosition(position, session)
    const idOf = (at: number) => formatFrameId(token, has + at, has + frames.length)
    return Buffer.concat(frames.map((frame, at) => textFrame(message(frame, first + at, idOf(at)))))
  }
  const encoderOf = (render: RenderEvent, frames: number): Encode => {
    let next = frames
    return (event, epoch) => {
      const rendered = render(event)
      const first = next
      next += rendered.length
      return rendered.length === 0 ? '' : encode(rendered, { epoch, offset: event.offset }, first, 0)
    }
  }
  return {
    wire: {
      key: `ws ${run} ${dialect.key} ${format}`,
      ...sinceStart(socketRun, (render) => encoderOf(render, 0)),
      encodeGap: (_from, to) => encode(dialect.fail(new MillraceError('position_expired')), to, 0, 0),
      merge: (events) => events,
    },
    encodeRest: ({ rest, after, has, frames }) => encode(rest, after, frames - rest.length, has),
    encoderAt: ({ render, frames }) => encoderOf(render, frames),
  }
}

export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const { frame, at } = newFrame(finalText, length)
  frame.write(text, at)
  return frame
}

/** PROTOCOL.md#bytes: the length of the header in two bytes, the header, the bytes. */
function binaryFrame(header: string, bytes: Uint8Array): Buffer {
  const headerLength = Buffer.byteLength(header)
  const { frame, at } = newFrame(finalBinary, 2 + headerLength + bytes.length)
  frame.writeUInt16BE(headerLength, at)
  frame.write(header, at + 2)
  frame.set(bytes, at + 2 + headerLength)
  return frame
}

function newFrame(opcode: number, length: number): { readonly frame: Buffer; readonly at: number } {
  const at = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(at + length)
  frame[0] = opcode
  if (at === 2) frame[1] = length
  else if (at === 4) {
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = 127
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  return { frame, at }
}
