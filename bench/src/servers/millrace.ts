/** Millrace with its defaults, with a publisher in the same process and a model that says when each token was due. */
import { createMillrace, type MillraceOptions, type Model } from 'millrace'
import { at, nowMicros, pace, stamp } from '../due.ts'
import { createMeter, heldMemory, serveCommands, writtenBytes } from '../processes.ts'
import { openEngine } from './open-engine.ts'

/** As many tokens as the question says, 50 a second. */
const dueModel: Model = {
  name: 'bench:due',
  async *stream({ messages, signal }) {
    const tokens = Number(messages.at(-1)?.text)
    const start = nowMicros()
    for (let token = 1; token <= tokens && !signal.aborted; token++) {
      const due = start + token * 20_000
      if (nowMicros() < due) await new Promise<void>((resolve) => at(due, resolve))
      yield stamp(due)
    }
  },
}

const [, , name = 'memory', folder, watching = 'default'] = process.argv
const watched: Readonly<Record<string, MillraceOptions>> = {
  default: {},
  off: { metrics: { enabled: false } },
  on: { log: { level: 'info', format: 'json' } },
}
const millrace = createMillrace({
  engine: openEngine(name, folder),
  model: 'sim:count',
  models: [dueModel],
  onError: (error) => console.error(error),
  ...watched[watching],
})
const meter = createMeter()
let unpublish = () => {}

serveCommands({
  async listen() {
    // The first scrape is compiled.
    await millrace.metrics?.metrics()
    return (await millrace.listen({ port: 0 })).port
  },
  createSession: async (id: string) => (await millrace.engine.append(id, [])).position.epoch,
  memory: heldMemory,
  written: writtenBytes,
  close: () => millrace.close(),
  async publish(perSecond: number) {
    const queue: string[] = []
    let wake = () => {}
    unpublish = pace(perSecond, (due) => {
      queue.push(due)
      wake()
    })
    await millrace.run({ session: 'bench', source: drain() })

    async function* drain(): AsyncGenerator<string> {
      for (;;) {
        while (queue.length > 0) yield* queue.splice(0)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  },
  /** One run of `bench:due` in each session, started within a second. */
  async askAll({ sessions, tokens }: { sessions: readonly string[]; tokens: number }) {
    const start = nowMicros()
    await Promise.all(
      sessions.map(async (session, index) => {
        await new Promise<void>((resolve) => at(start + (index / sessions.length) * 1e6, resolve))
        await millrace.ask({ session, query: String(tokens), models: ['bench:due'] })
      }),
    )
  },
  /** A session of that many events, in answers of a thousand. */
  async fill({ session, events }: { session: string; events: number }) {
    await millrace.engine.append(session, [])
    for (let count = 0; count < events; count += 1000)
      await (await millrace.ask({ session, query: 'count', models: ['sim:count?n=998&tps=0'] })).ended
  },
  unpublish: () => unpublish(),
  async begin() {
    meter.begin()
    // As Prometheus would, four times as often.
    if (watching === 'on') await millrace.metrics?.metrics()
  },
  end: () => meter.end(),
})
