/** Three real NATS as one cluster, which keep the logs of the engine three times. */
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { type NatsServer, startNats } from './nats.ts'
import { findPort } from './port.ts'

export interface NatsCluster {
  /** All three, with commas. */
  readonly url: string
  /** The one that takes what is stored just now. */
  leader(): Promise<NatsServer>
  close(): Promise<void>
}

const stream = 'millrace'

export async function startNatsCluster(): Promise<NatsCluster> {
  const ports = [await findPort(), await findPort(), await findPort()]
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(',')
  const servers = await Promise.all(
    ports.map((port, index) =>
      startNats({
        args: ['-n', `n${index}`, '--cluster_name', 'c', '--cluster', `nats://127.0.0.1:${port}`, '--routes', routes],
      }),
    ),
  )
  const url = servers.map((server) => server.url).join(',')
  const make = () =>
    withManager(url, (manager) =>
      manager.streams.add({
        name: stream,
        subjects: [`${stream}.log.*`],
        allow_rollup_hdrs: true,
        max_age: 24 * 60 * 60 * 1e9,
        num_replicas: servers.length,
      }),
    )
  // Until the three have found each other.
  for (let isMade = false; !isMade; )
    isMade = await make().then(
      () => true,
      () => false,
    )

  return {
    url,
    async leader() {
      for (;;) {
        const info = await withManager(url, (manager) => manager.streams.info(stream)).catch(() => undefined)
        const index = Number(info?.cluster?.leader?.slice(1) ?? -1)
        const server = servers[index]
        if (server !== undefined) return server
      }
    },
    async close() {
      await Promise.all(servers.map((server) => server.close()))
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
