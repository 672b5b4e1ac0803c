/** Millrace with its defaults, with a publisher in the same process and a model that says when each token was due. */
import { createMillrace } from 'millrace'
import { at, nowMicros } from '../due.ts'
import { createMeter, heldMemory, serveCommands, writtenBytes } from '../processes.ts'
import { dueModel, publishTo } from './due-model.ts'
import { openEngine } from './open-engine.ts'

const [, , name = 'memory', folder, model = 'sim:count'] = process.argv
const millrace = createMillrace({
  engine: openEngine(name, folder),
  model,
  dialects: ['ai-sdk', 'openai', 'ag-ui', 'tanstack', 'anthropic'],
  models: [dueModel],
  onError: (error) => console.error(error),
})
const meter = createMeter()
let unpublish = () => {}

serveCommands({
  listen: async () => (await millrace.listen({ port: 0 })).port,
  createSession: async (id: string) => (await millrace.engine.append(id, [])).position.epoch,
  memory: heldMemory,
  written: writtenBytes,
  close: () => millrace.close(),
  publish(perSecond: number) {
    unpublish = publishTo(millrace, perSecond)
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
  begin: () => meter.begin(),
  end: () => meter.end(),
})
