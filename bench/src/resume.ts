/** Readers that are cut together and reconnect: how long until each has what it missed, and whether it has all of it. */
import { setTimeout } from 'node:timers/promises'
import { type Figures, startWorker } from './processes.ts'
import { openReader, quantile, type Reader, type Tally } from './reader.ts'
import { upgradeRequest } from './requests.ts'

export interface ResumeOptions {
  readonly port: number
  readonly session: string
  readonly epoch: string
  /** How long they stay disconnected. */
  readonly awayMs: number
  /** The time over which they reconnect. */
  readonly spreadMs: number
  readonly readers: Reader[]
  readonly tally: () => Tally
}

/**
 * Cuts every reader and reconnects each from its position. `withinMs` counts from the first reconnection until the last
 * reader has an event that it had missed. Rejects unless each has every event once, despite the cut.
 */
export async function resumeAll({ port, session, epoch, awayMs, spreadMs, readers, tally }: ResumeOptions): Promise<Figures> {
  const cut = readers.splice(0)
  for (const { socket } of cut) socket.destroy()
  const before = cut.map(({ first, last, events }) => ({ first, last, events }))
  await setTimeout(awayMs)
  const started = performance.now()
  const times: number[] = []
  const back = await Promise.all(
    before.map(async ({ last }, index) => {
      await setTimeout((index / before.length) * spreadMs)
      const { promise, resolve } = Promise.withResolvers<void>()
      const say = { type: 'attach', session, from: `${epoch}-${last}` }
      // The first message is the response to `attach`.
      const reader = openReader({ port, request: upgradeRequest, say, tally, onRead: ({ events }) => events > 1 && resolve() })
      readers.push(reader)
      await promise
      times.push(performance.now() - started)
      return reader
    }),
  )
  const withinMs = performance.now() - started
  await setTimeout(500)
  const whole = back.filter((reader, index) => {
    const earlier = before[index] as (typeof before)[number]
    return isWhole(earlier) && reader.first === earlier.last + 1 && isWhole(reader)
  })
  if (whole.length < back.length) throw new Error(`${back.length - whole.length} readers lack an event, or got one twice.`)
  return { withinMs, p99Ms: quantile(times, 0.99) }
}

export async function measureResume(readers: number): Promise<Figures> {
  const server = startWorker('./servers/millrace.ts')
  const load = startWorker('./load.ts')
  const session = 'bench'
  try {
    const port = await server.ask<number>('listen')
    const epoch = await server.ask<string>('createSession', session)
    await server.ask('publish', 10)
    await load.ask('open', { port, path: '', count: readers, attach: session })
    await setTimeout(1000)
    return await load.ask<Figures>('resume', { port, session, epoch, awayMs: 1000, spreadMs: 2000 })
  } finally {
    await Promise.all([load.stop(), server.stop()])
  }
}

/** As many events as offsets: none missing, none repeated. One more message is the response to `attach`. */
function isWhole({ first, last, events }: Pick<Reader, 'first' | 'last' | 'events'>): boolean {
  return events - 1 === last - first + 1
}
