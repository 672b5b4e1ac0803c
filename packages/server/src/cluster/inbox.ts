/** Messages from other nodes: each node has a log that the others append to and that it reads. */
import type { Json, MillraceError } from '@millrace/protocol'
import type { Engine, Page } from '../log/log.ts'

export const inboxLogOf = (node: string): string => `inbox/${node}`

/** Messages kept of one inbox. */
const messagesMax = 1000
/** Codes of a read whose log was deleted, or deleted and created again. */
const lostCodes: ReadonlySet<string> = new Set(['session_not_found', 'position_foreign', 'position_ahead'])

export async function sendMessage(engine: Engine, node: string, message: Json): Promise<void> {
  await engine.append(inboxLogOf(node), [{ type: 'message', data: message }], { keep: messagesMax })
}

export interface InboxOptions {
  readonly engine: Engine
  readonly node: string
  readonly onMessage: (message: Json) => void
}

export class Inbox {
  readonly #options: InboxOptions
  readonly #log: string
  #unwatch: (() => void) | undefined
  #position = { epoch: '', offset: 0 }
  #isReading = false
  #isNotified = false

  constructor(options: InboxOptions) {
    this.#options = options
    this.#log = inboxLogOf(options.node)
  }

  /** Resolves when messages sent from now on are received. */
  async open(): Promise<void> {
    const { engine } = this.#options
    const { position } = await engine.append(this.#log, [])
    this.#position = position
    this.#unwatch = engine.watch(this.#log, () => this.poll())
  }

  /** Reads what is new: a notification may be lost with the connection to the engine. */
  poll(): void {
    if (this.#unwatch === undefined) return
    this.#isNotified = true
    if (!this.#isReading) void this.#read()
  }

  close(): void {
    this.#unwatch?.()
    this.#unwatch = undefined
  }

  async delete(): Promise<void> {
    await this.#options.engine.delete(this.#log)
  }

  async #read(): Promise<void> {
    this.#isReading = true
    try {
      while (this.#isNotified) {
        this.#isNotified = false
        const page = await this.#options.engine.read(this.#log, this.#position).catch((error) => this.#recreate(error))
        this.#position = page.position
        for (const { data } of page.events) this.#options.onMessage(data as Json)
        this.#isNotified ||= page.position.offset < page.head.offset
      }
    } catch {
      // The engine is unavailable: the next poll reads again.
    } finally {
      this.#isReading = false
    }
  }

  /** The log expired or was lost. Every message in the new log is unread. */
  async #recreate(error: unknown): Promise<Page> {
    if (!lostCodes.has((error as MillraceError).code)) throw error
    const { position } = await this.#options.engine.append(this.#log, [])
    return this.#options.engine.read(this.#log, { epoch: position.epoch, offset: 0 })
  }
}
