/**
 * Rejects connections when this process is near its limit of open files. At the limit the engine could open no file and
 * `/healthz` would not respond, so the last tenth is reserved: a connection in that range gets one response, which closes
 * it. That response is `server_full`, except for `/healthz`, `/readyz` and `/metrics`, and for heartbeat acknowledgements,
 * without which an admitted stream would be closed.
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { MillraceError } from '@millrace/protocol'

/** Where the system does not report a limit: the default of macOS. */
const filesMaxDefault = 10_240
/** The share of the limit that is open to every connection. */
const admittedPart = 0.9
/** The share for connections beyond it that have not sent a complete request; one more closes the oldest of them. */
const waitingPart = 0.04

export interface Admission {
  /** MUST be called for each connection when it is accepted. */
  accept(socket: Socket): void
  /** Why a request is rejected; undefined if it is not. */
  check(request: IncomingMessage): MillraceError | undefined
  /** Whether the response MUST close the connection. */
  isSurplus(request: IncomingMessage): boolean
}

/** `reject` responds on a socket that has sent no request, and closes it. */
export function createAdmission(reject: (socket: Socket, error: MillraceError) => void, filesMax = readFilesMax()): Admission {
  const admittedMax = Math.floor(filesMax * admittedPart)
  const waitingMax = Math.max(1, Math.floor(filesMax * waitingPart))
  /** In the order in which they were accepted. */
  const waiting = new Set<Socket>()
  const surplus = new WeakSet<Socket>()

  return {
    accept(socket) {
      // The system assigns the lowest free number, so all lower ones are in use. Windows has no such number.
      const { fd = -1 } = (socket as { _handle?: { fd?: number } })._handle ?? {}
      if (fd < admittedMax) return
      surplus.add(socket)
      waiting.add(socket)
      socket.once('close', () => waiting.delete(socket))
      const [oldest] = waiting
      if (waiting.size <= waitingMax || oldest === undefined) return
      waiting.delete(oldest)
      reject(oldest, new MillraceError('server_full'))
      oldest.destroy()
    },
    check({ socket, url = '' }) {
      if (!surplus.has(socket)) return undefined
      // Stays in `waiting`: its body may never arrive.
      if (/^\/api\/heartbeat(\?|$)/.test(url)) return undefined
      waiting.delete(socket)
      return /^\/(healthz|readyz|metrics)(\?|$)/.test(url) ? undefined : new MillraceError('server_full')
    },
    isSurplus: ({ socket }) => surplus.has(socket),
  }
}

function readFilesMax(): number {
  try {
    const [, soft] = /^Max open files +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft ?? filesMaxDefault)
  } catch {
    return filesMaxDefault
  }
}
