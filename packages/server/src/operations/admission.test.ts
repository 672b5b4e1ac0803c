import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createAdmission } from './admission.ts'

/** Of a hundred files ninety are for everybody, and four more may wait. */
function start() {
  const refused: Socket[] = []
  const admission = createAdmission((socket) => void refused.push(socket), 100)
  const come = (fd: number) => {
    const socket = Object.assign(new EventEmitter(), { _handle: { fd }, destroy() {} }) as unknown as Socket
    admission.accept(socket)
    return socket
  }
  const check = (url: string, socket: Socket) => admission.check({ url, socket } as IncomingMessage)?.code
  return { admission, refused, come, check }
}

describe('near the limit of open files', () => {
  it.each([
    ['/healthz', undefined],
    ['/api/heartbeat', undefined],
    ['/api/heartbeats', 'server_full'],
    ['/api/stream?session=s', 'server_full'],
    ['/ws/chat', 'server_full'],
  ])('%s is answered with %s, once', (url, code) => {
    const { admission, come, check } = start()
    const [early, late] = [come(89), come(90)]
    expect([check(url, early), check(url, late)]).toEqual([undefined, code])
    expect([early, late].map((socket) => admission.isSurplus({ socket } as IncomingMessage))).toEqual([false, true])
  })

  it('an answer to a heartbeat whose body does not come makes room for others', () => {
    const { refused, come, check } = start()
    const sockets = Array.from({ length: 5 }, (_, index) => {
      const socket = come(90 + index)
      check('/api/heartbeat', socket)
      return socket
    })
    expect(refused).toEqual(sockets.slice(0, 1))
  })
})
