/**
 * A dialect in WebSocket frames, framed once for all readers. A server's frames are not masked, so the
 * bytes of a message are the same on every connection (RFC 6455, "Base Framing Protocol").
 */
import type { Position } from '@millrace/protocol'
import type { Dialect } from '../dialects/dialect.ts'
import type { Wire } from '../log/wire.ts'

const finalText = 0x81

/** Everything of a session, each event with its session and position: `{"type":"event",…}`. */
export function sessionFrames(dialect: Dialect, session: string): Wire {
  const quoted = JSON.stringify(session)
  const frame = (event: string, position: Position, data: string) =>
    textFrame(`{"type":"event","session":${quoted},"id":"${dialect.position(position)}","event":"${event}","data":${data}}`)
  return {
    key: `ws ${dialect.key}`,
    encode(event, epoch) {
      const rendered = dialect.render(event)
      return rendered === undefined ? '' : frame(rendered.event, { epoch, offset: event.offset }, rendered.data)
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
      const rendered = event.type === 'stream_start' ? undefined : dialect.render(event)
      return rendered === undefined ? '' : textFrame(rendered.data)
    },
    encodeGap: (from, to) => textFrame(JSON.stringify({ gap: { from: dialect.position(from), to: dialect.position(to) } })),
    merge: dialect.merge,
    isLast: dialect.isLast,
  }
}

export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(header + length)
  frame[0] = finalText
  if (header === 2) frame[1] = length
  else if (header === 4) {
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = 127
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  frame.write(text, header)
  return frame
}
