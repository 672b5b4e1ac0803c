/** Server processes that can be killed, stopped and restarted at the same address. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { findPort } from '../servers/port.ts'

export interface ServerProcess {
  readonly url: string
  readonly pid: number
  /** Standard error since the last start. */
  readonly errors: string
  signal(signal: NodeJS.Signals): void
  /** Sends a signal, default `SIGKILL`, and resolves when the process has exited. */
  end(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again at the same address, over the same logs; kills it first if it still runs. */
  restart(): Promise<void>
}

/** Runs `millrace start` with these arguments. */
export async function startMillrace(args: readonly string[], shell?: string): Promise<ServerProcess> {
  const cli = fileURLToPath(new URL('../../../packages/server/src/cli/index.ts', import.meta.url))
  return startProcess((port) => [cli, '--port', String(port), '--model', 'sim:count', ...args], shell)
}

/** One of several servers, with timeouts short enough for a test. */
export async function startNode(engine: string, { leaseMs, graceMs }: NodeTimes, shell?: string): Promise<ServerProcess> {
  const script = fileURLToPath(new URL('./node-process.ts', import.meta.url))
  return startProcess((port) => [script, engine, String(leaseMs), String(port), String(graceMs)], shell)
}

/** A server with tools. `logs` is a folder for SQLite or the address of a Redis, `provider` that of OpenAI's protocol. */
export async function startWithTools(logs: string, provider: string): Promise<ServerProcess> {
  const script = fileURLToPath(new URL('./tools-process.ts', import.meta.url))
  return startProcess((port) => [script, logs, provider, String(port)])
}

export interface NodeTimes {
  /** The lease of the other servers. */
  readonly leaseMs: number
  /** The grace of SIGTERM. */
  readonly graceMs: number
}

async function startProcess(argsOf: (port: number) => readonly string[], shell?: string): Promise<ServerProcess> {
  const port = await findPort()
  let errors = ''
  let child = await start()
  onTestFinished(() => end('SIGKILL'))

  return {
    url: `http://127.0.0.1:${port}`,
    get pid() {
      return child.pid as number
    },
    get errors() {
      return errors
    },
    signal: (signal) => void child.kill(signal),
    end: (signal = 'SIGKILL') => end(signal),
    async restart() {
      await end('SIGKILL')
      child = await start()
    },
  }

  async function start(): Promise<ChildProcess> {
    errors = ''
    const command = [process.execPath, '--conditions=millrace-source', ...argsOf(port)]
    // A shell sets limits that Node cannot set, then replaces itself with the server.
    const [file = '', ...args] = shell === undefined ? command : ['/bin/sh', '-c', `${shell}; exec "$@"`, 'sh', ...command]
    const server = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    server.stderr.setEncoding('utf8').on('data', (text) => {
      errors = (errors + text).slice(-65_536)
    })
    const ended = once(server, 'exit')
    let output = ''
    server.stdout.setEncoding('utf8')
    while (!/^ *Logs |^http/m.test(output)) {
      const started = await Promise.race([once(server.stdout, 'data'), ended.then(() => undefined)])
      if (started === undefined) throw new Error(`The server exited before it was ready:\n${errors}`)
      output += started[0]
    }
    server.stdout.resume()
    return server
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
}
