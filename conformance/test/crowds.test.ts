/** Many at once: cut together and back, and one among them who is slow. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, connect, type TransportName } from '@millrace/client'
import { createMillrace } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { oneTo, readNumbers, startWorld, status } from '../src/client/world.ts'
import { startFaultProxy } from '../src/fault-proxy.ts'

const transports: readonly TransportName[] = ['sse', 'ws', 'hybrid', 'poll']

it('200 clients over all transports that are cut at once come back one after another, and each reads 1…N', async () => {
  const { connect: open, counter, millrace, proxy } = await startWorld({ heartbeatMs: 15_000 })
  const spreadMs = 2000
  await millrace.engine.append('s', [])
  await millrace.ask({ session: 's', query: '12' })
  counter.letTo(4)
  let cutAt: number | undefined
  const triedAt = new Map<number, number>()
  const clients: Client[] = []
  const reading: Promise<number[]>[] = []
  const back = Promise.withResolvers<void>()
  while (clients.length < 200) {
    const index = clients.length
    const transport = transports[index % transports.length] as TransportName
    const note = () => cutAt !== undefined && !triedAt.has(index) && triedAt.set(index, performance.now() - cutAt)
    const client = open(transport, {
      timings: { backoffFirstMs: spreadMs },
      fetch: (...request) => {
        note()
        return fetch(...request)
      },
      WebSocket: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          if (transport === 'ws') note()
          super(url, protocols)
        }
      } as never,
    })
    clients.push(client)
    reading.push(readNumbers(client.session('s'), (number) => (number === 4 ? back.promise : undefined)))
    // A few at a time: it is not the beginning that is tried.
    if (clients.length % 50 === 0)
      await expect.poll(() => millrace.listConnections('s').length, { timeout: 10_000 }).toBe(clients.length)
  }
  cutAt = performance.now()
  const cutTime = Date.now()
  proxy.cut()
  const cut = await Promise.all(clients.map((client) => status(client, ({ state }) => state === 'reconnecting')))
  // When they come is also a matter of the machine; what they have drawn is not.
  const drawn = cut.map(({ retryAt = cutTime }) => retryAt - cutTime)
  let isOver = false
  const health = (async () => {
    const answers = new Set<number>()
    for (; !isOver; await sleep(20)) answers.add((await fetch(`${proxy.url}/healthz`)).status)
    return [...answers]
  })()
  await Promise.all(clients.map((client) => status(client, ({ state }) => state === 'live')))
  isOver = true
  expect(await health).toEqual([200])
  const fifths = drawn.map((ms) => Math.floor(ms / (spreadMs / 5)))
  const most = Math.max(...fifths.map((one) => fifths.filter((other) => other === one).length))
  expect(most / clients.length).toBeLessThan(0.4)
  // And nobody reconnected earlier: a timer may be a millisecond early, and the reported time is rounded.
  expect(triedAt.size).toBe(clients.length)
  expect(drawn.filter((ms, index) => (triedAt.get(index) ?? 0) < ms - 2)).toEqual([])
  back.resolve()
  counter.letTo(12)
  for (const numbers of await Promise.all(reading)) expect(numbers).toEqual(oneTo(12))
})

it.each(transports)(
  'a reader of 1 KB/s over %s holds little on the server and nobody up, and misses nothing',
  async (transport) => {
    const millrace = createMillrace({ model: 'sim:count' })
    const sockets = new Set<Socket>()
    const server = createServer(millrace.handler)
    server.on('upgrade', millrace.upgrade).on('connection', (socket: Socket) => sockets.add(socket))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const proxy = await startFaultProxy(port)
    onTestFinished(async () => {
      await proxy[Symbol.asyncDispose]()
      await millrace.close()
      server.close().closeAllConnections()
    })
    const last = 100
    await millrace.publish({ channel: 'c', data: '1' })
    const slow = follow(proxy.url, transport)
    await slow.first
    proxy.shape({ bytesPerSecond: 1000 })
    const others = transports.map((one) => follow(`http://127.0.0.1:${port}`, one))
    for (let n = 2; n <= last; n++) {
      await millrace.publish({ channel: 'c', data: `${n} ${'x'.repeat(100_000)}` })
      await new Promise(setImmediate)
    }
    for (const other of others) expect(await other.whole).toEqual(oneTo(last))
    expect(slow.seen.length).toBeLessThan(last)
    const held = Math.max(...[...sockets].map((socket) => socket.writableLength))
    // An answer to a poll ends, and may be with the kernel as a whole.
    if (transport !== 'poll') expect(held).toBeGreaterThan(0)
    expect(held).toBeLessThan(1024 * 1024)
    proxy.shape({})
    expect(await slow.whole).toEqual(oneTo(last))

    function follow(url: string, one: TransportName) {
      const client = connect(url, { transport: one })
      onTestFinished(() => client.close())
      const first = Promise.withResolvers<void>()
      const seen: number[] = []
      const whole = (async () => {
        for await (const { data } of client.channel('c', { from: 'start' }).events()) {
          first.resolve()
          seen.push(Number.parseInt(data as string, 10))
          if (seen.at(-1) === last) break
        }
        return seen
      })()
      return { first: first.promise, seen, whole }
    }
  },
)
