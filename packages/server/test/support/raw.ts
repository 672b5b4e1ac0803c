/** Sends requests that an HTTP client would not send. */
import { connect } from 'node:net'

/** Sends raw bytes and reads until the server closes. */
export async function raw(port: number, ...pieces: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  // The server may respond and close before everything is sent.
  socket.on('error', () => {})
  for (const piece of pieces) socket.write(piece)
  await new Promise((resolve) => socket.once('close', resolve))
  return text
}

/** Sends one request with exactly these headers; resolves with the status and the code of the error, if there is one. */
export async function ask(port: number, line: string, headers: Record<string, string>, body = ''): Promise<string> {
  const all = { connection: 'close', ...headers, ...(body && { 'content-length': String(Buffer.byteLength(body)) }) }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  const answer = await raw(port, `${line} HTTP/1.1\r\n${head.join('')}\r\n${body}`)
  return `${/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]} ${/"code":"(\w+)"/.exec(answer)?.[1] ?? ''}`.trim()
}
