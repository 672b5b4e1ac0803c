/** A WebSocket without a library: sends any bytes, and shows every frame, also after a Close. It responds to pings. */
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface Frame {
  readonly opcode: number
  readonly payload: Buffer
}

export interface RawSocket {
  readonly socket: Socket
  readonly frames: readonly Frame[]
  /** The next frame that the predicate accepts, of all frames so far. */
  until(accept: (frame: Frame) => boolean): Promise<Frame>
}

const handshake = [
  'GET /ws/chat HTTP/1.1',
  'host: localhost',
  'connection: upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
]

/** Clients must mask their frames; a mask of zeros keeps the payload. */
export function clientFrame(payload: string | Uint8Array, opcode = 1): Buffer {
  const bytes = Buffer.from(payload)
  const long = Buffer.alloc(8)
  long.writeBigUInt64BE(BigInt(bytes.length))
  const length = bytes.length < 126 ? Buffer.of(0x80 | bytes.length) : Buffer.concat([Buffer.of(0x80 | 127), long])
  return Buffer.concat([Buffer.of(0x80 | opcode), length, Buffer.alloc(4), bytes])
}

export const closeCode = ({ opcode, payload }: Frame): number | undefined => (opcode === 8 ? payload.readUInt16BE() : undefined)

export async function openRawSocket(port: number): Promise<RawSocket> {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  const frames: Frame[] = []
  let isOpen = false
  let rest: Buffer = Buffer.alloc(0)
  let wake = () => {}
  const someone = () =>
    new Promise<void>((resolve) => {
      wake = resolve
    })
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk])
    if (!isOpen) {
      const end = rest.indexOf('\r\n\r\n')
      if (end < 0) return
      isOpen = true
      rest = rest.subarray(end + 4)
    }
    for (let frame = take(); frame !== undefined; frame = take()) {
      frames.push(frame)
      if (frame.opcode === 9) socket.write(clientFrame(frame.payload, 10))
    }
    wake()
  })
  socket.write(`${handshake.join('\r\n')}\r\n\r\n`)
  while (!isOpen) await someone()
  return {
    socket,
    frames,
    async until(accept) {
      for (;;) {
        const frame = frames.find(accept)
        if (frame !== undefined) return frame
        await someone()
      }
    },
  }

  function take(): Frame | undefined {
    if (rest.length < 2) return undefined
    const short = (rest[1] as number) & 127
    const head = short < 126 ? 2 : short === 126 ? 4 : 10
    if (rest.length < head) return undefined
    const length = short < 126 ? short : short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2))
    if (rest.length < head + length) return undefined
    const frame = { opcode: (rest[0] as number) & 15, payload: rest.subarray(head, head + length) }
    rest = rest.subarray(head + length)
    return frame
  }
}
