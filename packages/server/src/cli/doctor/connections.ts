/** Whether WebSockets pass, and how many connections a browser can open. */
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:tls'
import { WebSocket } from 'ws'
import { type Finding, note, ok, problem } from './finding.ts'
import { isPublicName } from './public-name.ts'
import { addressOf, readStart, type Target } from './request.ts'
import type { Seen } from './seen.ts'
import { seconds } from './streams.ts'

const handshakeMsMax = 10_000
/** A ping on its way. */
const marginMs = 5000

/** Opens one and waits for its first heartbeat. Without a token, a server with authentication rejects what did arrive. */
export async function examineWebSocket(target: Target, { heartbeatMs }: Seen, token: string | undefined): Promise<Finding[]> {
  const address = addressOf(target, '/ws/chat')
  address.protocol = address.protocol.replace('http', 'ws')
  const socket = new WebSocket(address, {
    handshakeTimeout: handshakeMsMax,
    rejectUnauthorized: target.isVerified,
    perMessageDeflate: false,
    ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
  })
  const { promise, resolve } = Promise.withResolvers<Finding[]>()
  const passes = ok('websocket_blocked', 'WebSockets pass.')
  const stop = () => socket.terminate()
  target.signal.addEventListener('abort', stop)
  socket.once('unexpected-response', (_request, response: IncomingMessage) => {
    void readStart(response).then((body) => resolve([explain(response.statusCode ?? 0, body) ?? passes]))
  })
  socket.once('error', (error) => resolve([problem('websocket_blocked', `WebSockets do not pass: ${error.message}.`)]))
  socket.once('open', () => {
    const openedAt = performance.now()
    const waited = () => seconds(performance.now() - openedAt)
    const late = setTimeout(stop, heartbeatMs + marginMs)
    socket.once('ping', () =>
      resolve([passes, ok('idle_timeout', `A WebSocket that is silent for ${seconds(heartbeatMs)} stays open.`)]),
    )
    socket.once('close', (code) => {
      clearTimeout(late)
      if (code >= 4000) return resolve([passes])
      resolve([passes, problem('idle_timeout', `A silent WebSocket is cut after ${waited()}, before the heartbeat.`)])
    })
  })
  const found = await promise
  target.signal.removeEventListener('abort', stop)
  socket.on('error', () => {}).terminate()
  return found
}

/** Undefined where the handshake arrived, and Millrace itself rejected it. */
function explain(status: number, body: string): Finding | undefined {
  const code = /"code":"(\w+)"/.exec(body)?.[1]
  if (code === 'upgrade_required')
    return problem('websocket_blocked', 'WebSockets do not pass: the header Upgrade does not arrive.')
  if (code !== undefined) return undefined
  return problem('websocket_blocked', `WebSockets do not pass: the handshake gets ${status}, not from Millrace.`)
}

/** Over HTTP/1.1 a browser opens six connections to one host, over HTTP/2 about a hundred streams. */
export async function examineHttpVersion({ base, isVerified, signal }: Target): Promise<Finding[]> {
  const limit = 'browsers open six connections, so that the seventh tab with EventSource waits'
  if (base.protocol === 'http:') return [note('http1', `Without TLS there is no HTTP/2: ${limit}.`)]
  const host = base.hostname.replace(/^\[|\]$/g, '')
  const { promise, resolve, reject } = Promise.withResolvers<string | false | null>()
  const socket = connect({
    host,
    port: Number(base.port || 443),
    ALPNProtocols: ['h2', 'http/1.1'],
    rejectUnauthorized: isVerified,
    // An address is not a name.
    ...(/[a-z]/i.test(host) && !host.includes(':') && { servername: host }),
  })
  const stop = () => socket.destroy(new Error('no answer in time'))
  signal.addEventListener('abort', stop, { once: true })
  socket.once('secureConnect', () => resolve(socket.alpnProtocol)).once('error', reject)
  const protocol = await promise.finally(() => {
    signal.removeEventListener('abort', stop)
    socket.destroy()
  })
  return protocol === 'h2' ? [ok('http1', 'HTTP/2 is offered.')] : [problem('http1', `There is no HTTP/2: ${limit}.`)]
}

export function examineTls({ base, isVerified }: Target): Finding[] {
  if (base.protocol === 'https:') return isVerified ? [ok('certificate', 'TLS is on, and the certificate is valid.')] : []
  if (!isPublicName(base.hostname)) return []
  return [problem('tls_missing', 'The name is public and has no TLS: everybody on the way reads tokens and answers.')]
}
