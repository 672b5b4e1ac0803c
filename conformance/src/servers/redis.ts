/** A real Redis for tests, from its binary, on a port of its own, ended by its pid. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findPort } from './port.ts'
import { converse, untilSaid } from './said.ts'

export interface RedisServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** `SIGKILL`, unless another is named; resolves when the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** The same port and folder again. */
  restart(): Promise<void>
  /** A command of one line; rejects where it is refused. */
  say(command: string): Promise<void>
  /** Ends it, and takes its own folder away. */
  close(): Promise<void>
}

export interface RedisServerOptions {
  /** Beside those of an append-only file, which is kept by default. */
  readonly args?: readonly string[]
  /** One that is the caller's, and stays. Default: one of its own, which goes with it. */
  readonly folder?: string
}

/** By default Redis acknowledges for up to two seconds what it has not even written yet, while its disk is busy. */
export function startLosslessRedis(): Promise<RedisServer> {
  return startRedis({ args: ['--appendfsync', 'always'] })
}

export async function startRedis({ args = [], folder: given }: RedisServerOptions = {}): Promise<RedisServer> {
  const folder = given ?? mkdtempSync(join(tmpdir(), 'millrace-redis-'))
  const port = await findPort()
  let child = await start()

  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return child.pid as number
    },
    kill: (signal = 'SIGKILL') => end(child, signal),
    async restart() {
      await end(child, 'SIGKILL')
      child = await start()
    },
    say: (command) => converse(port, `${command}\r\n`, /^\+OK/),
    async close() {
      await end(child, 'SIGKILL')
      if (given === undefined) rmSync(folder, { recursive: true, force: true })
    },
  }

  async function start(): Promise<ChildProcess> {
    const own = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes']
    const server = spawn('redis-server', [...own, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    await untilSaid(server, server.stdout, 'Ready to accept connections')
    return server
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  await gone
}
