/** What stands between client and server in some networks: it looks into requests, and hands on as it likes. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'

export interface Middlebox extends AsyncDisposable {
  readonly url: string
  /** What the server says is gathered and handed on every so many milliseconds; 0 hands on at once. */
  flushEvery(ms: number): void
  /** What is answered to a request in the server's place; '' is silence, undefined lets it through. */
  answer(to: (head: string) => string | undefined): void
  /** What the server says is handed on as this makes it, piece by piece as it comes. */
  change(said: (piece: string) => string): void
}

export async function startMiddlebox(target: string): Promise<Middlebox> {
  let flushMs = 0
  let answerTo: (head: string) => string | undefined = () => undefined
  let changeTo: ((piece: string) => string) | undefined
  const open = new Set<{ destroy(): void }>()
  const server = createServer((near) => {
    const far = connect(Number(new URL(target).port), '127.0.0.1')
    let held: Buffer[] = []
    let timer: NodeJS.Timeout | undefined
    const flush = () => {
      timer = undefined
      near.write(Buffer.concat(held))
      held = []
    }
    near.on('data', (chunk: Buffer) => {
      const answer = answerTo(chunk.toString('latin1'))
      if (answer === undefined) far.write(chunk)
      else if (answer !== '') near.end(answer)
    })
    far.on('data', (chunk: Buffer) => {
      held.push(changeTo === undefined ? chunk : Buffer.from(changeTo(chunk.toString('latin1')), 'latin1'))
      if (flushMs === 0) flush()
      // By the clock, as a box does that knows nothing of what it carries.
      else timer ??= setTimeout(flush, flushMs - (performance.now() % flushMs))
    })
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        clearTimeout(timer)
        open.delete(socket)
        other.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    flushEvery(ms) {
      flushMs = ms
    },
    answer(to) {
      answerTo = to
    },
    change(said) {
      changeTo = said
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
