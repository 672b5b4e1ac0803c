/** Requests that no HTTP client would send, or not in this way. */
import { connect } from 'node:net'

/** Sends bytes as they are and reads what comes until the other side closes. */
export async function raw(port: number, ...pieces: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  // The server may answer and close while we are still sending.
  socket.on('error', () => {})
  for (const piece of pieces) socket.write(piece)
  await new Promise((resolve) => socket.once('close', resolve))
  return text
}

/** One request with exactly these headers; the status and the code of the answer, empty where there is none. */
export async function ask(port: number, line: string, headers: Record<string, string>, body = ''): Promise<string> {
  const all = { connection: 'close', ...headers, ...(body && { 'content-length': String(Buffer.byteLength(body)) }) }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  const answer = await raw(port, `${line} HTTP/1.1\r\n${head.join('')}\r\n${body}`)
  return `${/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]} ${/"code":"(\w+)"/.exec(answer)?.[1] ?? ''}`.trim()
}
