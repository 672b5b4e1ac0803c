/** Starts a real redis-server for tests, on a free port, and ends it by its pid. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sendCommand, waitForOutput } from './output.ts'
import { findPort } from './port.ts'

export interface RedisServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Sends `SIGKILL` unless another signal is given; resolves when the process has exited. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again with the same port and folder. */
  restart(): Promise<void>
  /** Sends a command line; rejects if Redis returns an error. */
  say(command: string): Promise<void>
  /** Kills it and removes its folder. */
  close(): Promise<void>
}

export interface RedisServerOptions {
  /** Arguments in addition to those for an append-only file. */
  readonly args?: readonly string[]
  /** The caller's folder, which stays. Default: a folder of its own, which is removed with it. */
  readonly folder?: string
}

/** By default Redis acknowledges for up to two seconds what it has not written yet, while its disk is busy. */
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
    say: (command) => sendCommand(port, `${command}\r\n`, /^\+OK/),
    async close() {
      await end(child, 'SIGKILL')
      if (given === undefined) rmSync(folder, { recursive: true, force: true })
    },
  }

  async function start(): Promise<ChildProcess> {
    const own = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes']
    const server = spawn('redis-server', [...own, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    await waitForOutput(server, server.stdout, 'Ready to accept connections')
    return server
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}
