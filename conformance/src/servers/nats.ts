/** Starts a real nats-server with JetStream for tests, on a free port, and ends it by its pid. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requireNatsBinary } from './nats-binary.ts'
import { sendCommand, waitForOutput } from './output.ts'
import { findPort } from './port.ts'

export interface NatsServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Its storage folder. */
  readonly folder: string
  /** Sends `SIGKILL` unless another signal is given; resolves when the process has exited. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Kills it and starts it again with the same port and folder. */
  restart(): Promise<void>
  /** Removes every message from a stream. */
  purge(stream: string): Promise<void>
  /** Kills it and removes its folder. */
  close(): Promise<void>
}

export interface NatsServerOptions {
  /** Arguments in addition to those for JetStream. */
  readonly args?: readonly string[]
}

export async function startNats({ args = [] }: NatsServerOptions = {}): Promise<NatsServer> {
  const binary = requireNatsBinary()
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
      sendCommand(port, `CONNECT {}\r\nSUB answer 1\r\nPUB $JS.API.STREAM.PURGE.${stream} answer 0\r\n\r\n`, /"success":true/),
    async close() {
      await end(child, 'SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }

  async function start(): Promise<ChildProcess> {
    const server = spawn(binary, ['-js', '-sd', folder, '-p', String(port), '-a', '127.0.0.1', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    await waitForOutput(server, server.stderr, 'Server is ready')
    return server
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  await gone
}
