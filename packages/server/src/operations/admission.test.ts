import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createAdmission } from './admission.ts'

/** With a limit of 100 files, 90 are open to every connection, and 4 more connections may wait. */
function start() {
  const rejected: Socket[] = []
  const admission = createAdmission((socket) => void rejected.push(socket), 100)
  const accept = (fd: number) => {
    const socket = Object.assign(new EventEmitter(), { _handle: { fd }, destroy() {} }) as unknown as Socket
    admission.accept(socket)
    return socket
  }
  const check = (url: string, socket: Socket) => admission.check({ url, socket } as IncomingMessage)?.code
  return { admission, rejected, accept, check }
}

describe('near the limit of open files', () => {
  it.each([
    ['/healthz', undefined],
    ['/api/heartbeat', undefined],
    ['/api/heartbeats', 'server_full'],
    ['/api/stream?session=s', 'server_full'],
    ['/ws/chat', 'server_full'],
  ])('%s gets %s, and its connection is closed', (url, code) => {
    const { admission, accept, check } = start()
    const [early, late] = [accept(89), accept(90)]
    expect([check(url, early), check(url, late)]).toEqual([undefined, code])
    expect([early, late].map((socket) => admission.isSurplus({ socket } as IncomingMessage))).toEqual([false, true])
  })

  it('closes the oldest heartbeat acknowledgement whose body does not arrive', () => {
    const { rejected, accept, check } = start()
    const sockets = Array.from({ length: 5 }, (_, index) => {
      const socket = accept(90 + index)
      check('/api/heartbeat', socket)
      return socket
    })
    expect(rejected).toEqual(sockets.slice(0, 1))
  })
})
