/** Calls of scripts over one log, with their errors. */
import { MillraceError } from '@millrace/protocol'
import { Connection, type ConnectionOptions } from './connection.ts'
import type { Names } from './names.ts'
import * as scripts from './scripts.ts'

export type ScriptArgs = (server: string) => readonly string[]

export interface CallsOptions extends Omit<ConnectionOptions, 'replicas'> {
  readonly names: Names
  readonly replicas: number
  readonly timeoutMs: number
  /** Called when a script finds another log under the name, or none. */
  readonly onForeign: (log: string) => void
}

export class Calls {
  readonly connection: Connection
  /** Its own connection when writes wait for replicas: commands after them would wait, too. */
  readonly #writing: Connection
  readonly #names: Names
  readonly #timeoutMs: number
  readonly #onForeign: (log: string) => void
  #isClosed = false

  constructor({ names, replicas, timeoutMs, onForeign, ...options }: CallsOptions) {
    this.connection = new Connection(options)
    this.#writing = replicas > 0 ? new Connection({ url: options.url, replicas }) : this.connection
    this.#names = names
    this.#timeoutMs = timeoutMs
    this.#onForeign = onForeign
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Of a call that starts now. */
  newDeadline(): number {
    return performance.now() + this.#timeoutMs
  }

  assertOpen(): void {
    if (this.#isClosed) throw new MillraceError('server_stopping')
  }

  /** Resolves with the answer without its status, and the status last; rejects when the status is an error. */
  async run(script: string, log: string, args?: ScriptArgs, deadline?: number): Promise<unknown[]> {
    const [status, ...answer] = (await this.call(script, log, args, deadline)) as [string, ...unknown[]]
    if (status === 'done' || status === 'unverified') return [...answer, status]
    if (status === 'position_foreign') this.#onForeign(log)
    throw new MillraceError(status as 'position_foreign')
  }

  async call(script: string, log: string, args: ScriptArgs = () => [], deadline = this.newDeadline()): Promise<unknown> {
    this.assertOpen()
    const connection = script === scripts.append ? this.#writing : this.connection
    const channel = this.#names.channelOf(log)
    return connection.run(script, this.#names.keysOf(log), (server) => [channel, ...args(server)], deadline)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(new Set([this.connection, this.#writing]).values().map((each) => each.close()))
  }
}
