/** Counts the events in a chunk without building strings of them: one way for each transport. */
export type Counter = (chunk: Buffer) => number

const newline = 0x0a
const brace = 0x7d

/** An event ends with `}`, LF, LF; a heartbeat and the greeting do not. */
export function sseCounter(): Counter {
  let previous = 0
  let beforePrevious = 0
  return (chunk) => {
    let events = 0
    if (chunk[0] === newline && previous === newline && beforePrevious === brace) events += 1
    if (chunk[0] === newline && chunk[1] === newline && previous === brace) events += 1
    for (let at = chunk.indexOf('}\n\n'); at !== -1; at = chunk.indexOf('}\n\n', at + 40)) events += 1
    beforePrevious = chunk.length > 1 ? (chunk[chunk.length - 2] ?? 0) : previous
    previous = chunk[chunk.length - 1] ?? 0
    return events
  }
}

/** Counts complete text frames; the handshake's response and control frames do not count. */
export function frameCounter(): Counter {
  let inHead = true
  let header: number[] = []
  let left = 0
  let isText = false
  return (chunk) => {
    let at = 0
    let events = 0
    if (inHead) {
      const end = chunk.indexOf('\r\n\r\n')
      if (end === -1) return 0
      inHead = false
      at = end + 4
    }
    while (at < chunk.length) {
      if (left === 0) {
        header.push(chunk[at++] as number)
        if (header.length < headerLength(header)) continue
        left = payloadLength(header)
        isText = header[0] === 0x81
        header = []
      }
      const taken = Math.min(left, chunk.length - at)
      at += taken
      left -= taken
      if (left === 0 && isText) events += 1
    }
    return events
  }
}

function headerLength([, second]: readonly number[]): number {
  if (second === 127) return 10
  return second === 126 ? 4 : 2
}

function payloadLength(header: readonly number[]): number {
  if (header.length === 2) return header[1] as number
  return header.slice(2).reduce((sum, byte) => sum * 256 + byte, 0)
}
