/** An engine alone: runs that append one token after another, each as soon as the one before it is acknowledged. */
import { startNats, startRedis } from '@millrace/suites'
import { type Figures, startWorker } from './processes.ts'

const seconds = 2

/** `memory`, `sqlite` or `sqlite:disk`; `redis` and `nats` start a real one on this machine. */
export async function measureAppends(name: string): Promise<Figures> {
  const server = name === 'redis' ? await startRedis() : name === 'nats' ? await startNats() : undefined
  const worker = startWorker('./servers/engine.ts', [server?.url ?? name])
  try {
    const one = await worker.ask<Figures>('append', { runs: 1, seconds })
    const many = await worker.ask<Figures>('append', { runs: 1000, seconds })
    return {
      'appendsPerSecond, 1 run': one.appendsPerSecond as number,
      'p50Ms, 1 run': one.p50Ms as number,
      'appendsPerSecond, 1,000 runs': many.appendsPerSecond as number,
      'p50Ms, 1,000 runs': many.p50Ms as number,
      'p99Ms, 1,000 runs': many.p99Ms as number,
      'cpuMicrosPerAppend, 1,000 runs': many.cpuMicrosPerAppend as number,
    }
  } finally {
    await worker.stop()
    await server?.close()
  }
}
