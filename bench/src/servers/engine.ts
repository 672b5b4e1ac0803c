/** An engine alone: runs that append one token after another, each as soon as the one before is acknowledged. */

import { createMeter, serveCommands } from '../processes.ts'
import { quantile } from '../reader.ts'
import { openEngine } from './open-engine.ts'

const engine = openEngine(process.argv[2] ?? 'memory')
const meter = createMeter()

serveCommands({
  async append({ runs, seconds }: { runs: number; seconds: number }) {
    const waits: number[] = []
    let appends = 0
    meter.begin()
    const until = performance.now() + seconds * 1000
    await Promise.all(
      Array.from({ length: runs }, async (_, run) => {
        const log = `bench-${runs}-${run}`
        const { position } = await engine.append(log, [])
        for (let token = 0; performance.now() < until; token++) {
          const before = performance.now()
          const data = { run: 'XgXj5nXkqk2kqk2kqk2kqg', lane: 'sim:count', text: `${token} ` }
          await engine.append(log, [{ type: 'message', data }], { epoch: position.epoch, unless: 'end' })
          waits.push(performance.now() - before)
          appends += 1
          // The memory engine never waits: the event loop must get a turn.
          if (token % 64 === 0) await new Promise(setImmediate)
        }
      }),
    )
    const { cpuMs, wallMs } = meter.end()
    return {
      appendsPerSecond: appends / (wallMs / 1000),
      p50Ms: quantile(waits, 0.5),
      p99Ms: quantile(waits, 0.99),
      cpuMicrosPerAppend: (cpuMs * 1000) / appends,
    }
  },
})
