/** Three real nats-servers as one cluster, which replicate the engine's logs three times, and the links between them. */
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { type Line, startLine } from './line.ts'
import { type NatsServer, type NatsServerOptions, startNats } from './nats.ts'
import { findPort } from './port.ts'

export interface NatsCluster {
  /** All three URLs, with commas. */
  readonly url: string
  readonly servers: readonly NatsServer[]
  /** The leader of the stream. */
  leader(): Promise<NatsServer>
  /** Cuts one direction between a server and the others until `heal`; its clients stay connected. */
  isolate(server: NatsServer, what: 'outgoing' | 'incoming'): void
  /** Delivers what was held; `cut` drops it. */
  heal(isCut: boolean): void
  close(): Promise<void>
}

const stream = 'millrace'
/** An address where nothing listens: the servers must not learn of routes around the links. */
const nowhere = '127.0.0.1:1'

export async function startNatsCluster({ args = [] }: NatsServerOptions = {}): Promise<NatsCluster> {
  const ports = [await findPort(), await findPort(), await findPort()]
  const lines: { readonly line: Line; readonly from: number; readonly to: number }[] = []
  for (const from of ports.keys())
    for (const [to, port] of ports.entries()) if (from !== to) lines.push({ line: await startLine(port), from, to })
  const servers = await Promise.all(
    ports.map((port, index) => {
      const routes = lines.flatMap(({ from, line }) => (from === index ? [`nats://127.0.0.1:${line.port}`] : [])).join(',')
      const own = ['-n', `n${index}`, '--cluster', `nats://127.0.0.1:${port}`, '--cluster_advertise', nowhere]
      return startNats({ args: [...args, '--cluster_name', 'c', ...own, '--routes', routes] })
    }),
  )
  const url = servers.map((server) => server.url).join(',')
  const make = () =>
    withManager(url, (manager) =>
      manager.streams.add({
        name: stream,
        subjects: [`${stream}.log.*`],
        allow_direct: true,
        max_age: 24 * 60 * 60 * 1e9,
        num_replicas: servers.length,
      }),
    )
  // Until the three have formed a cluster.
  for (let isMade = false; !isMade; )
    isMade = await make().then(
      () => true,
      () => false,
    )

  return {
    url,
    servers,
    async leader() {
      for (;;) {
        const info = await withManager(url, (manager) => manager.streams.info(stream)).catch(() => undefined)
        const index = Number(info?.cluster?.leader?.slice(1) ?? -1)
        const server = servers[index]
        if (server !== undefined) return server
      }
    },
    isolate(server, what) {
      const index = servers.indexOf(server)
      for (const { line, from, to } of lines) {
        // Either of the two may have opened the connection.
        if (from === index) line.hold(what === 'outgoing' ? 'there' : 'back')
        if (to === index) line.hold(what === 'outgoing' ? 'back' : 'there')
      }
    },
    heal(isCut) {
      for (const { line } of lines) line.heal(isCut)
    },
    async close() {
      await Promise.all(servers.map((server) => server.close()))
      await Promise.all(lines.map(({ line }) => line.close()))
    },
  }
}

type Manager = Awaited<ReturnType<typeof jetstreamManager>>

async function withManager<T>(url: string, act: (manager: Manager) => Promise<T>): Promise<T> {
  const connection: NatsConnection = await connect({ servers: url.split(',') })
  try {
    return await act(await jetstreamManager(connection, { checkAPI: false, timeout: 1000 }))
  } finally {
    await connection.close()
  }
}
