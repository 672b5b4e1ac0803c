/** A TCP link that can hold bytes back in each direction, as a network partition does, and deliver them later. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export type Direction = 'there' | 'back'

export interface Line {
  readonly port: number
  /** Holds everything in this direction until `heal`, on new connections too. */
  hold(direction: Direction): void
  /** Delivers what was held; `cut` drops it. */
  heal(isCut: boolean): void
  close(): Promise<void>
}

export async function startLine(target: number): Promise<Line> {
  const held = new Set<Direction>()
  const pairs = new Set<Record<Direction, readonly [from: Socket, to: Socket]>>()
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    const pair = { there: [near, far], back: [far, near] } as const
    pairs.add(pair)
    for (const direction of ['there', 'back'] as const) {
      const [from, to] = pair[direction]
      from.on('error', () => {})
      from.once('close', () => {
        pairs.delete(pair)
        to.destroy()
      })
      if (!held.has(direction)) from.pipe(to)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const { there } of pairs) for (const socket of there) socket.destroy()
  }

  return {
    port: (server.address() as { port: number }).port,
    hold(direction) {
      held.add(direction)
      for (const pair of pairs) {
        const [from, to] = pair[direction]
        from.unpipe(to).pause()
      }
    },
    heal(isCut) {
      if (isCut) cut()
      for (const pair of pairs) {
        for (const direction of held) {
          const [from, to] = pair[direction]
          from.pipe(to)
        }
      }
      held.clear()
    },
    async close() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
