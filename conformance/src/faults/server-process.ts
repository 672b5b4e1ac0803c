/** Servers as processes of their own, which can be killed, stopped and started again at the same address. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { findPort } from '../servers/port.ts'

export interface ServerProcess {
  readonly url: string
  readonly pid: number
  /** What it has said to its operator since it was last started. */
  readonly errors: string
  signal(signal: NodeJS.Signals): void
  /** Sends a signal, `SIGKILL` unless another is named, and resolves when the process is gone. */
  end(signal?: NodeJS.Signals): Promise<void>
  /** At the same address, over the same logs; a server that is still there is killed first. */
  restart(): Promise<void>
}

/** `millrace start` with these arguments. */
export async function startMillrace(args: readonly string[], shell?: string): Promise<ServerProcess> {
  const cli = fileURLToPath(new URL('../../../packages/server/src/cli/index.ts', import.meta.url))
  return startProcess((port) => [cli, '--port', String(port), '--model', 'sim:count', ...args], shell)
}

/** One of several servers, with times that are short enough for a test. */
export async function startNode(engine: string, { leaseMs, graceMs }: NodeTimes, shell?: string): Promise<ServerProcess> {
  const script = fileURLToPath(new URL('./node-process.ts', import.meta.url))
  return startProcess((port) => [script, engine, String(leaseMs), String(port), String(graceMs)], shell)
}

export interface NodeTimes {
  /** How long another one that is not heard of is waited for. */
  readonly leaseMs: number
  /** How long runs may go on after SIGTERM. */
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
    const command = [process.execPath, '--conditions=source', ...argsOf(port)]
    // With a shell around it, for limits that only a shell can set; it becomes the server.
    const [file = '', ...args] = shell === undefined ? command : ['/bin/sh', '-c', `${shell}; exec "$@"`, 'sh', ...command]
    const server = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    server.stderr.setEncoding('utf8').on('data', (text) => {
      errors = (errors + text).slice(-65_536)
    })
    const ended = once(server, 'exit')
    let output = ''
    server.stdout.setEncoding('utf8')
    while (!/^ *Logs |^http/m.test(output)) {
      const said = await Promise.race([once(server.stdout, 'data'), ended.then(() => undefined)])
      if (said === undefined) throw new Error(`The server ended before it was ready:\n${errors}`)
      output += said[0]
    }
    server.stdout.resume()
    return server
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }
}
