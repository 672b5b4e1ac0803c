/**
 * Child processes of tasks: one that runs to its end and returns its output, or one whose output is shown. All of them
 * are stopped with the task.
 */
import { spawn } from 'node:child_process'
import process from 'node:process'
import { root } from './install.mjs'
import { forwardSignals } from './supervise.mjs'

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Shows the output instead of collecting it. */
  readonly isShown?: boolean
}

export interface Ended {
  readonly code: number
  /** Both outputs in order; empty if they were shown. */
  readonly output: string
  readonly durationMs: number
}

/** Never throws: a missing command, or one that is killed, counts as failed. */
export function run(
  command: string,
  args: readonly string[],
  { cwd = root, env, isShown = false }: RunOptions = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const startedAt = performance.now()
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', isShown ? 'inherit' : 'pipe', isShown ? 'inherit' : 'pipe'],
      // On Windows the tools of node_modules/.bin are .cmd files, which only a shell can start.
      shell: process.platform === 'win32',
    })
    let output = ''
    const collect = (chunk: string) => {
      output += chunk
    }
    child.stdout?.setEncoding('utf8').on('data', collect)
    child.stderr?.setEncoding('utf8').on('data', collect)
    let received: NodeJS.Signals | undefined
    const release = forwardSignals((signal) => {
      received = signal
      child.kill(signal)
    })
    const end = (code: number) => {
      release()
      // The task exits by the signal, not with a verdict about commands that could not finish.
      if (received) process.kill(process.pid, received)
      else resolve({ code, output, durationMs: performance.now() - startedAt })
    }
    child.once('error', (error) => {
      output += `${command}: ${error.message}\n`
      end(127)
    })
    child.once('close', (code, signal) => {
      if (signal) output += `${command} was ended by ${signal}\n`
      end(code ?? 1)
    })
  })
}
