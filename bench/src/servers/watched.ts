/**
 * Three servers in one process, of which one is watched. The others are its controls, under the same compiler, heap and core;
 * two of them, because their difference is what the place in the process makes.
 */
import { setTimeout } from 'node:timers/promises'
import { createMillrace, type Millrace, type MillraceOptions } from 'millrace'
import { createMeter, serveCommands } from '../processes.ts'
import { dueModel, publishTo } from './due-model.ts'

const create = (options: MillraceOptions): Millrace =>
  createMillrace({ model: 'sim:count', models: [dueModel], onError: (error) => console.error(error), ...options })

const servers = {
  off: create({ metrics: { enabled: false } }),
  on: create({ log: { level: 'info', format: 'json' } }),
  again: create({ metrics: { enabled: false } }),
}
export type Which = keyof typeof servers

const meter = createMeter()
let unpublish = () => {}

serveCommands({
  async listen() {
    for (const { engine } of Object.values(servers)) await engine.append('bench', [])
    const ports = Object.entries(servers).map(async ([name, server]) => [name, (await server.listen({ port: 0 })).port] as const)
    return Object.fromEntries(await Promise.all(ports))
  },
  publish({ which, perSecond }: { which: Which; perSecond: number }) {
    unpublish = publishTo(servers[which], perSecond)
  },
  unpublish: () => unpublish(),
  begin: () => meter.begin(),
  /** Resolves when all readers have left: their ends are written then. */
  async left(which: Which) {
    while (servers[which].connections > 0) await setTimeout(5)
  },
  /** With a scrape, as often as Prometheus would after some seconds. */
  async end(which: Which) {
    await servers[which].metrics?.metrics()
    return meter.end()
  },
})
