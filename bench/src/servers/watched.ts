/** Two servers in one process, of which one is watched: the other is its control under the same compiler, heap and core. */
import { createMillrace, type Millrace, type MillraceOptions } from 'millrace'
import { createMeter, serveCommands } from '../processes.ts'
import { dueModel, publishTo } from './due-model.ts'

const create = (options: MillraceOptions): Millrace =>
  createMillrace({ model: 'sim:count', models: [dueModel], onError: (error) => console.error(error), ...options })

const servers = {
  off: create({ metrics: { enabled: false } }),
  on: create({ log: { level: 'info', format: 'json' } }),
}
export type Which = keyof typeof servers

const meter = createMeter()
let unpublish = () => {}

serveCommands({
  async listen() {
    for (const { engine } of Object.values(servers)) await engine.append('bench', [])
    return { off: (await servers.off.listen({ port: 0 })).port, on: (await servers.on.listen({ port: 0 })).port }
  },
  publish({ which, perSecond }: { which: Which; perSecond: number }) {
    unpublish = publishTo(servers[which], perSecond)
  },
  unpublish: () => unpublish(),
  begin: () => meter.begin(),
  /** With a scrape, as often as Prometheus would after some seconds. */
  async end(which: Which) {
    await servers[which].metrics?.metrics()
    return meter.end()
  },
})
