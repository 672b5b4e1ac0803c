/**
 * Closes connections whose request does not arrive completely in time. Node's own `requestTimeout` is the same, but for every
 * request: it would end the body of an answer that is produced for minutes.
 */
import type { IncomingMessage, Server } from 'node:http'

const unhurried = new WeakSet<object>()

/** The body of this request arrives for as long as it is read. */
export function letArrive(request: IncomingMessage): void {
  unhurried.add(request)
}

/** Checks all requests that are not complete twice in `requestMs`, until the server closes. */
export function closeSlow(server: Server, requestMs: number): void {
  /** How often each was checked. By time, a server that was paused itself would take its clients for slow. */
  const checks = new Map<IncomingMessage, number>()
  server.on('request', (request: IncomingMessage) => {
    // Of one without a body nothing may be kept: it may become a stream.
    if (!hasBody(request)) return
    checks.set(request, 0)
    const forget = () => checks.delete(request)
    request.once('end', forget).once('close', forget)
  })
  const timer = setInterval(() => {
    for (const [request, count] of checks) {
      if (request.complete || unhurried.has(request)) checks.delete(request)
      else if (count < 2) checks.set(request, count + 1)
      // As Node does where a response is being made: what it would write could be in the middle of it.
      else request.socket.destroy()
    }
  }, requestMs / 2).unref()
  server.once('close', () => clearInterval(timer))
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
