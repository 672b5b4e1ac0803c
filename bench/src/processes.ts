/** Servers and load run in separate processes, so that the work of one is not counted for the other. */
import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export interface Worker {
  /** Sends a command and resolves with the worker's reply. */
  ask<T>(command: string, argument?: unknown): Promise<T>
  stop(): Promise<void>
}

interface Reply {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

/** Longer than any one measurement; a worker that does not reply in time has failed. */
const replyMsMax = 120_000

/** What it writes to standard error is ours, unless `isSilent`. */
export function startWorker(file: string, args: readonly string[] = [], flags: readonly string[] = [], isSilent = false): Worker {
  const child: ChildProcess = fork(fileURLToPath(new URL(file, import.meta.url)), [...args], {
    execArgv: ['--conditions=millrace-source', ...flags],
    stdio: ['inherit', 'inherit', isSilent ? 'ignore' : 'inherit', 'ipc'],
  })
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code) => {
      for (const { reject } of waiting.values()) reject(new Error(`${file} ended with ${code}`))
      resolve()
    })
  })
  child.on('message', ({ id, result, error }: Reply) => {
    const asked = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) asked?.resolve(result as never)
    else asked?.reject(new Error(`${file}: ${error}`))
  })
  let nextId = 0
  return {
    ask<T>(command: string, argument?: unknown): Promise<T> {
      const id = nextId++
      return new Promise<T>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${file} did not answer "${command}"`)), replyMsMax)
        const settle =
          <V>(then: (value: V) => void) =>
          (value: V) => {
            clearTimeout(timer)
            then(value)
          }
        waiting.set(id, { resolve: settle(resolve) as never, reject: settle(reject) })
        child.send({ id, command, argument })
      })
    },
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}

/** The worker's side: replies to each command with what its function returns. */
export function serveCommands(commands: Record<string, (argument: never) => unknown>): void {
  process.on(
    'message',
    ({ id, command, argument }: { id: number; command: string; argument: never }) => void answer(id, command, argument),
  )
  process.once('disconnect', () => process.exit())

  async function answer(id: number, command: string, argument: never): Promise<void> {
    try {
      process.send?.({ id, result: await commands[command]?.(argument) })
    } catch (error) {
      process.send?.({ id, error: String(error) })
    }
  }
}

export interface Usage {
  readonly cpuMs: number
  readonly wallMs: number
}

/** CPU time of this process from `begin` to `end`. */
export function createMeter() {
  let cpu = process.cpuUsage()
  let wall = performance.now()
  return {
    begin() {
      cpu = process.cpuUsage()
      wall = performance.now()
    },
    end(): Usage {
      const { user, system } = process.cpuUsage(cpu)
      return { cpuMs: (user + system) / 1000, wallMs: performance.now() - wall }
    },
  }
}

export interface Memory {
  readonly rss: number
  readonly heap: number
}

/** After forced collections. */
export function heldMemory(): Memory {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let count = 0; count < 3; count++) collect()
  const { rss, heapUsed } = process.memoryUsage()
  return { rss, heap: heapUsed }
}

/** What this process has caused to be written to a disk; NaN where the system does not say. */
export function writtenBytes(): number {
  try {
    return Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
  } catch {
    return Number.NaN
  }
}

/** The figures of one measurement, by name; the unit is in the name. */
export type Figures = Readonly<Record<string, number>>
