/** Answers on one server, read on another over one Redis; the age of a token when its reader gets it. */
import { setTimeout } from 'node:timers/promises'
import { startRedis } from '@millrace/suites'
import type { Window } from './load.ts'
import { type Figures, startWorker, type Usage } from './processes.ts'

const windowMs = 4000

export async function measureNodes(runs: number): Promise<Figures> {
  const redis = await startRedis()
  const writing = startWorker('./servers/millrace.ts', [redis.url])
  const reading = startWorker('./servers/millrace.ts', [redis.url])
  const load = startWorker('./load.ts')
  try {
    await writing.ask('listen')
    const port = await reading.ask<number>('listen')
    const sessions = Array.from({ length: runs }, (_, index) => `bench-${index}`)
    for (const session of sessions) await writing.ask('createSession', session)
    await load.ask('openEach', { port, paths: sessions.map((session) => `/api/stream?session=${session}&from=now`) })
    await writing.ask('askAll', { sessions, tokens: 500 })
    await setTimeout(1000)
    for (const worker of [writing, reading, load]) await worker.ask('begin')
    await setTimeout(windowMs)
    const { perSecond, p50Ms, p99Ms, ...own } = await load.ask<Window>('end')
    const cores = ({ cpuMs, wallMs }: Usage) => cpuMs / wallMs
    return {
      tokensPerSecond: perSecond,
      p50Ms,
      p99Ms,
      writingCores: cores(await writing.ask<Usage>('end')),
      readingCores: cores(await reading.ask<Usage>('end')),
      loadCores: cores(own),
    }
  } finally {
    await load.stop()
    await Promise.all([writing.stop(), reading.stop()])
    await redis.close()
  }
}
