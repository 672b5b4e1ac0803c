/** Attaching to a finished answer: how many frames, and how long until its last event. */
import { type Figures, startWorker } from './processes.ts'
import { newTally, openReader } from './reader.ts'
import { request } from './requests.ts'

export interface Attached {
  readonly frames: number
  readonly withinMs: number
  readonly isWhole: boolean
}

export async function measureAttach(tokens: number): Promise<Figures> {
  const server = startWorker('./servers/millrace.ts')
  const load = startWorker('./load.ts')
  try {
    const port = await server.ask<number>('listen')
    const model = encodeURIComponent(`sim:count?n=${tokens}&tps=0`)
    const text = await (await fetch(`http://127.0.0.1:${port}/api/chat?query=go&model=${model}`)).text()
    const [session = '', position = ''] = (text.match(/^id: (.*)$/gm)?.at(-1) ?? '').slice(4).split(':')
    const head = Number(position.slice(position.indexOf('-') + 1))
    const attach = () => load.ask<Attached>('attach', { port, path: `/api/stream?session=${session}`, head })
    await attach()
    const { frames, withinMs, isWhole } = await attach()
    if (!isWhole) throw new Error('The answer did not arrive whole.')
    return { frames, withinMs }
  } finally {
    await Promise.all([load.stop(), server.stop()])
  }
}

/** In the load: from the request to the event at `head`. */
export async function attachOnce({ port, path, head }: { port: number; path: string; head: number }): Promise<Attached> {
  const tally = newTally()
  const started = performance.now()
  const { promise, resolve } = Promise.withResolvers<void>()
  const reader = openReader({
    port,
    request: request(path),
    tally: () => tally,
    onRead: ({ last }) => last === head && resolve(),
    onClose: resolve,
  })
  await promise
  const withinMs = performance.now() - started
  reader.socket.destroy()
  return { frames: tally.events, withinMs, isWhole: reader.last === head }
}
