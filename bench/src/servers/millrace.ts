/** Millrace with its defaults, with a publisher in the same process. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createMillrace, type ModelPart } from 'millrace'
import { pace } from '../pace.ts'
import { createMeter, serveCommands } from '../processes.ts'
import { openEngine } from './open-engine.ts'

const engine = openEngine(process.argv[2] ?? 'memory')
const millrace = createMillrace({ engine, model: 'sim:count', onError: (error) => console.error(error) })
const meter = createMeter()
let stop = () => {}

serveCommands({
  listen: async () => (await millrace.listen({ port: 0 })).port,
  createSession: async (id: string) => (await millrace.engine.append(id, [])).position.epoch,
  memory: heldBytes,
  async publish({ perSecond, session }: { perSecond: number; session: string }) {
    const run = await millrace.run({ session, source: timestamps(perSecond) })
    const paceStop = stop
    stop = () => {
      run.stop()
      paceStop()
    }
  },
  /** A run in each session, all at the same rate and none at the same instant. */
  async publishAll({ sessions, perSecond }: { sessions: readonly string[]; perSecond: number }) {
    const wakes: (() => void)[] = []
    for (const [index, session] of sessions.entries()) await millrace.run({ session, source: paced(wakes, index) })
    let next = 0
    stop = pace(perSecond * sessions.length, (count) => {
      for (let n = 0; n < count; n++) wakes[next++ % wakes.length]?.()
    })
  },
  unpublish: () => stop(),
  begin: () => meter.begin(),
  end: () => meter.end(),
})

/** After a garbage collection. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  return process.memoryUsage.rss()
}

/** Text that is the current time, each time it is woken. */
async function* paced(wakes: (() => void)[], index: number): AsyncGenerator<ModelPart> {
  let due = 0
  let wake = () => {}
  wakes[index] = () => {
    due += 1
    wake()
  }
  for (;;) {
    if (due === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    due -= 1
    yield String(Date.now())
  }
}

/** Text that is the current time, at an exact average rate. */
async function* timestamps(perSecond: number): AsyncGenerator<ModelPart> {
  let due = 0
  let wake = () => {}
  stop = pace(perSecond, (count) => {
    due += count
    wake()
  })
  for (;;) {
    if (due === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    due -= 1
    yield String(Date.now())
  }
}
