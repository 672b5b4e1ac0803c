/** A real NATS with JetStream for tests, from its binary, on a port of its own, ended by its pid. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findPort } from './port.ts'
import { converse, untilSaid } from './said.ts'

export interface NatsServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Where it keeps everything. */
  readonly folder: string
  /** `SIGKILL`, unless another is named; resolves when the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** The same port and folder again. */
  restart(): Promise<void>
  /** Takes every message out of a stream. */
  purge(stream: string): Promise<void>
  /** Ends it, and takes its folder away. */
  close(): Promise<void>
}

export interface NatsServerOptions {
  /** Beside those of JetStream. */
  readonly args?: readonly string[]
}

/** Another one may be named; Debian keeps it where only root has it on the path. */
const binary =
  process.env.NATS_SERVER ??
  ['/usr/sbin/nats-server', '/usr/local/bin/nats-server'].find((file) => existsSync(file)) ??
  'nats-server'

/** `2.9.10`; what a cluster holds is not the same in all of them. */
export function natsVersion(): string {
  const { stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8' })
  return /v([\d.]+)/.exec(stdout ?? '')?.[1] ?? 'unknown'
}

export async function startNats({ args = [] }: NatsServerOptions = {}): Promise<NatsServer> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-nats-'))
  const port = await findPort()
  let child = await start()

  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    folder,
    get pid() {
      return child.pid as number
    },
    kill: (signal = 'SIGKILL') => end(child, signal),
    async restart() {
      await end(child, 'SIGKILL')
      child = await start()
    },
    purge: (stream) =>
      converse(port, `CONNECT {}\r\nSUB answer 1\r\nPUB $JS.API.STREAM.PURGE.${stream} answer 0\r\n\r\n`, /"success":true/),
    async close() {
      await end(child, 'SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }

  async function start(): Promise<ChildProcess> {
    const server = spawn(binary, ['-js', '-sd', folder, '-p', String(port), '-a', '127.0.0.1', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    await untilSaid(server, server.stderr, 'Server is ready')
    return server
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  await gone
}
