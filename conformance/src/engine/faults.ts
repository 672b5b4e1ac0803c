/** What an engine promises whose storage is a server, while that server is killed, stopped and restarted. */
import type { Engine, LogEvent } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startFaultProxy } from '../fault-proxy.ts'
import { type Attempt, checkHistory, type Given, nothingFound } from '../history.ts'
import { errorCode, numbered, numbers, open, range, readAll, rejectionOf } from './support.ts'

export interface StorageServer {
  kill(signal?: NodeJS.Signals): Promise<void>
  restart(): Promise<void>
  readonly pid: number
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

export interface FaultsSuite<Server extends StorageServer> {
  readonly name: string
  readonly start: () => Promise<Server>
  readonly make: (server: { readonly url: string }) => Engine
  /** How often each fault is injected into one stream; default 10. */
  readonly rounds?: number
}

export function faultsConformance<Server extends StorageServer>({ name, start, make, rounds = 10 }: FaultsSuite<Server>): void {
  describe(`${name} engine, whose server fails`, () => {
    it('loses nothing that was acknowledged and repeats nothing when its server is killed during a stream', async () => {
      await stream(async (server, progress) => {
        for (let round = 0; round < rounds; round++) {
          await progress(25)
          await server.restart()
        }
      })
    })

    it('continues where it was after its server was stopped', async () => {
      await stream(async (server, progress) => {
        for (let round = 0; round < rounds; round++) {
          await progress(25)
          process.kill(server.pid, 'SIGSTOP')
          await new Promise((resolve) => setTimeout(resolve, 50))
          process.kill(server.pid, 'SIGCONT')
        }
      })
    })

    it('rejects in bounded time with a code while its server is down, and recovers', async () => {
      const server = await start()
      onTestFinished(() => server.close())
      const engine = await open(() => make(server))
      const { position } = await engine.append('log', numbered(1, 1))
      await server.kill()
      const calls = [engine.append('log', numbered(2, 2)), engine.read('log', { ...position, offset: 0 }), engine.inspect('log')]
      // It may still serve cached events.
      const [append, , inspect] = await Promise.allSettled(calls)
      for (const settled of [append, inspect])
        expect(settled?.status === 'rejected' && errorCode(settled.reason)).toBe('engine_failed')
      await server.restart()
      expect(await rejectionOf(engine.append('log', []))).toBe('resolved')
    })

    it('rejects broadcasts in bounded time while its server is down, and delivers them after its restart', async () => {
      const server = await start()
      onTestFinished(() => server.close())
      const [near, far] = [(await open(() => make(server))).broadcast, (await open(() => make(server))).broadcast]
      if (near === undefined || far === undefined) throw new Error('An engine that is shared has a broadcast.')
      const received: string[] = []
      await far.subscribe('topic', (message) => received.push(message))
      await server.kill()
      expect(await rejectionOf(near.publish('topic', 'lost'))).toBe('engine_failed')
      expect(await rejectionOf(far.subscribe('other', (message) => received.push(`late ${message}`)))).toBe('engine_failed')
      await server.restart()
      // Repeated, because a message is lost until the subscription is connected again.
      const publishAgain = async () => {
        await near.publish('topic', 'repeated')
        return received.at(-1)
      }
      await expect.poll(publishAgain, { timeout: 10_000 }).toBe('repeated')
      expect(received).not.toContain('lost')
      await near.publish('other', 'of the rejected subscription')
      await near.publish('topic', 'last')
      await expect.poll(() => received.at(-1)).toBe('last')
      expect(received.filter((message) => message.startsWith('late'))).toEqual([])
    })
  })

  describe(`${name} engine, whose connection is cut`, () => {
    it('appends once what its server had accepted when the response was cut', async () => {
      const { proxy, near, far } = await openBehindProxy()
      const { position } = await near.append('log', numbered(1, 1))
      for (const n of range(2, 10)) {
        proxy.mute()
        const appending = near.append('log', numbered(n, n))
        while ((await far.inspect('log'))?.head.offset !== n) await new Promise(setImmediate)
        proxy.cut()
        expect(await appending).toEqual({ position: { epoch: position.epoch, offset: n }, duplicate: false })
      }
      expect(numbers(await readAll(far, 'log'))).toEqual(range(1, 10))
    })

    it('gives appends that wait together the answers that its server had made when the response was cut', async () => {
      const { proxy, near, far } = await openBehindProxy()
      const { epoch } = (await near.append('log', numbered(1, 1), { key: 'first' })).position
      // Longer than the appends take to be sent.
      proxy.shape({ delayMs: 20 })
      for (let head = 1; head < 25; head += 4) {
        const alone = near.append('log', numbered(head + 1, head + 1))
        const together = [
          near.append('log', numbered(head + 2, head + 2), { expect: head + 1 }),
          near.append('log', numbered(0, 0), { unless: 'first' }),
          near.append('log', numbered(0, 0), { key: 'first' }),
          near.append('log', numbered(0, 0), { expect: head + 1 }),
          near.append('log', numbered(head + 3, head + 4), { epoch, expect: head + 2 }),
        ].map((appending) => appending.then(({ position }) => position.offset, errorCode))
        await alone
        proxy.mute()
        while ((await far.inspect('log'))?.head.offset !== head + 4) await new Promise(setImmediate)
        proxy.cut()
        expect(await Promise.all(together)).toEqual([head + 2, 'fenced', 1, 'head_moved', head + 4])
      }
      expect(numbers(await readAll(far, 'log'))).toEqual(range(1, 25))
    })

    it('notifies for what was appended while it was disconnected', async () => {
      const { proxy, near, far } = await openBehindProxy()
      const { position } = await near.append('log', numbered(1, 1))
      let at = position
      let reached = Promise.withResolvers<void>()
      const read = async () => {
        at = (await near.read('log', at)).position
        reached.resolve()
      }
      // A reconnection notifies once more, perhaps when the test has ended.
      near.watch('log', () => void read().catch(reached.reject))
      await far.append('log', numbered(2, 2))
      await reached.promise
      reached = Promise.withResolvers()
      proxy.refuse(true)
      proxy.cut()
      await far.append('log', numbered(3, 3))
      proxy.refuse(false)
      await reached.promise
      expect(at.offset).toBe(3)
    })
  })

  describe(`${name} engine, whose server is slow`, () => {
    it('keeps the order of its calls and runs each once, and readers see it', async () => {
      const { proxy, near, far } = await openBehindProxy()
      const { position } = await near.append('log', [])
      proxy.shape({ delayMs: 20 })
      const startedAt = performance.now()
      const appending = range(1, 20).map((n) => near.append('log', numbered(n, n), { key: `k${n}` }))
      const elsewhere = range(1, 20).map((n) => near.append(`other-${n}`, numbered(n, n)))
      const appended = await Promise.all(appending)
      await Promise.all(elsewhere)
      // At least this long: the server was slow.
      expect(performance.now() - startedAt).toBeGreaterThan(20)
      expect(appended).toEqual(range(1, 20).map((offset) => ({ position: { ...position, offset }, duplicate: false })))
      expect(await near.append('log', numbered(3, 3), { key: 'k3' })).toMatchObject({ position: { offset: 3 }, duplicate: true })
      for (const engine of [near, far]) expect(numbers(await readAll(engine, 'log'))).toEqual(range(1, 20))
    })
  })

  async function openBehindProxy() {
    const server = await start()
    onTestFinished(() => server.close())
    const proxy = await startFaultProxy(server.port)
    onTestFinished(() => proxy[Symbol.asyncDispose]())
    return {
      proxy,
      near: await open(() => make({ url: proxy.url.replace('http', 'redis') })),
      far: await open(() => make(server)),
    }
  }

  /** One writer, one reader on another node, and a fault between them. */
  async function stream(fault: (server: Server, progress: (events: number) => Promise<void>) => Promise<void>): Promise<void> {
    const server = await start()
    onTestFinished(() => server.close())
    const writer = await open(() => make(server))
    const reader = await open(() => make(server))
    const { position } = await writer.append('log', [])
    const attempts: Attempt[] = []
    const given: Given[] = []
    const waiting: { readonly at: number; readonly resolve: () => void }[] = []
    let isOver = false

    let at = position
    let reading = Promise.resolve()
    const read = () => {
      reading = reading.then(async () => {
        try {
          for (;;) {
            const page = await reader.read('log', at)
            at = page.position
            given.push(...page.events.map(toGiven(position.epoch)))
            if (at.offset === page.head.offset) return
          }
        } catch {
          // Down for longer than a call's timeout: the next notification, or the end of the test, reads it again.
        }
      })
    }
    reader.watch('log', read)

    const faulting = fault(server, (events) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push({ at: attempts.length + events, resolve })
      return promise
    }).finally(() => {
      isOver = true
    })
    for (let value = 1; !isOver || value < 50; value++) {
      const outcome = await writer.append('log', numbered(value, value), { epoch: position.epoch }).then(
        () => 'acknowledged' as const,
        () => 'unknown' as const,
      )
      attempts.push({ value, outcome })
      for (const { at, resolve } of waiting) if (attempts.length >= at) resolve()
    }
    await faulting
    // The last notification may have been sent before the reader had reconnected.
    const { head } = (await reader.inspect('log')) ?? {}
    while (at.offset < (head?.offset ?? 0)) {
      read()
      await reading
    }
    const final = (await readAll(reader, 'log')).map(toGiven(position.epoch))
    expect(checkHistory({ attempts, readers: [given], final })).toEqual(nothingFound)
    expect(attempts.filter(({ outcome }) => outcome === 'acknowledged').length).toBeGreaterThan(attempts.length / 2)
  }
}

const toGiven =
  (epoch: string) =>
  ({ offset, data }: LogEvent): Given => ({ epoch, offset, value: (data as { n: number }).n })
