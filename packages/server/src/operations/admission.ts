/**
 * Who may still come in when this process is near its limit of open files. At the limit its engine could open nothing
 * and nobody would hear of its health, so the last tenth is kept: a connection that would take from it is answered once,
 * with a refusal, with the health, or as an answer to a heartbeat, without which a stream that is in would be cut; and
 * closed.
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { MillraceError } from '@millrace/protocol'

/** Where the system does not say: what macOS gives. */
const filesMaxDefault = 10_240
/** Of the limit. */
const admittedPart = 0.9
/** Those that come beyond it and have not asked for anything as a whole yet; for one more the oldest of them is closed. */
const waitingPart = 0.04

export interface Admission {
  /** MUST be told of each connection when it is accepted. */
  accept(socket: Socket): void
  /** Why what is asked over a connection is refused; undefined where it is not. */
  check(request: IncomingMessage): MillraceError | undefined
  /** The answer MUST close the connection. */
  isSurplus(request: IncomingMessage): boolean
}

/** `refuse` answers on a socket on which nothing was asked, and closes it. */
export function createAdmission(refuse: (socket: Socket, error: MillraceError) => void, filesMax = readFilesMax()): Admission {
  const admittedMax = Math.floor(filesMax * admittedPart)
  const waitingMax = Math.max(1, Math.floor(filesMax * waitingPart))
  /** In the order in which they came. */
  const waiting = new Set<Socket>()
  const surplus = new WeakSet<Socket>()

  return {
    accept(socket) {
      // The system gives the lowest number that is free: all that are lower are in use. There is none on Windows.
      const { fd = -1 } = (socket as { _handle?: { fd?: number } })._handle ?? {}
      if (fd < admittedMax) return
      surplus.add(socket)
      waiting.add(socket)
      socket.once('close', () => waiting.delete(socket))
      const [oldest] = waiting
      if (waiting.size <= waitingMax || oldest === undefined) return
      waiting.delete(oldest)
      refuse(oldest, new MillraceError('server_full'))
      oldest.destroy()
    },
    check({ socket, url = '' }) {
      if (!surplus.has(socket)) return undefined
      // It waits on: its body is still to come, and may never.
      if (/^\/api\/heartbeat(\?|$)/.test(url)) return undefined
      waiting.delete(socket)
      return /^\/healthz(\?|$)/.test(url) ? undefined : new MillraceError('server_full')
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
