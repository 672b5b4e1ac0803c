/** Where the frames of a response end, in bytes of its connection, so that it can be cut after each of them. */
import { connect } from 'node:net'

/** `separator`: what follows each frame. */
export async function frameEnds(port: number, path: string, body: unknown, separator: string): Promise<number[]> {
  const text = JSON.stringify(body)
  const socket = connect(port, '127.0.0.1')
  const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}`
  socket.write(`${head}\r\n\r\n${text}`)
  let response = ''
  for await (const bytes of socket) {
    response += (bytes as Buffer).toString('latin1')
    if (response.endsWith('0\r\n\r\n')) break
  }
  socket.destroy()
  const ends: number[] = []
  const start = response.indexOf('\r\n\r\n') + 4
  for (let at = response.indexOf(separator, start); at >= 0; at = response.indexOf(separator, at + 1))
    ends.push(at + separator.length)
  return ends
}
