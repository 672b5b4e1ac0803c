/** The log of one run, which every node can read: who claimed its id, where it was recorded, how it ended. */
import { type Json, MillraceError, type Position } from '@millrace/protocol'
import type { Engine, LogEvent } from '../log/log.ts'
import type { Claim, Recorded } from '../runs/cluster.ts'
import type { RecordedEnd } from '../runs/run.ts'

type RunLogEvent =
  | { readonly type: 'started'; readonly data: Position }
  | { readonly type: 'ended'; readonly data: RecordedEnd }
  | { readonly type: 'released'; readonly data: { readonly fence: string } }

export class RunLog {
  readonly #engine: Engine
  readonly #name: string

  constructor(engine: Engine, run: string) {
    this.#engine = engine
    this.#name = `run/${run}`
  }

  /** Claims the run after an earlier claim. Resolves with the log's epoch; undefined where another node was first. */
  async claim(claim: Claim, after: Position | undefined): Promise<string | undefined> {
    const key = `claimed ${after?.offset ?? 0}`
    const options = after === undefined ? { key } : { key, epoch: after.epoch }
    try {
      const event = { type: 'claimed', data: claim as unknown as Json }
      const { position, duplicate } = await this.#engine.append(this.#name, [event], options)
      return duplicate ? undefined : position.epoch
    } catch (error) {
      if ((error as MillraceError).code === 'position_foreign') return undefined
      throw error
    }
  }

  /** Without an epoch the log is created where it was deleted. With one, it MUST be that of the claim: a new log has none. */
  async append({ type, data }: RunLogEvent, epoch?: string): Promise<void> {
    try {
      const options = epoch === undefined ? {} : { epoch }
      await this.#engine.append(this.#name, [{ type, data: data as unknown as Json }], options)
    } catch (cause) {
      if ((cause as MillraceError).code !== 'position_foreign') throw cause
      throw new MillraceError('engine_failed', { cause })
    }
  }

  /** Undefined where there is no claim. */
  async read(): Promise<Recorded | undefined> {
    const state = await this.#engine.inspect(this.#name)
    if (state === undefined) return undefined
    const { start, head } = state
    let recorded: Recorded | undefined
    for (let position = start; position.offset < head.offset; ) {
      const page = await this.#engine.read(this.#name, position)
      for (const event of page.events) recorded = fold(recorded, event, head.epoch)
      position = page.position
    }
    return recorded
  }

  watch(bell: () => void): () => void {
    return this.#engine.watch(this.#name, bell)
  }

  async delete(): Promise<void> {
    await this.#engine.delete(this.#name)
  }
}

function fold(before: Recorded | undefined, { type, data, offset }: LogEvent, epoch: string): Recorded | undefined {
  if (type === 'claimed') return { claim: data as unknown as Claim, at: { epoch, offset } }
  if (before === undefined) return undefined
  if (type === 'started') return { ...before, start: data as unknown as Position }
  if (type === 'ended') return { ...before, end: data as unknown as RecordedEnd }
  // A late release may belong to an earlier claim.
  const isOfClaim = (data as { fence?: string }).fence === before.claim.fence
  return type === 'released' && isOfClaim ? { ...before, isReleased: true } : before
}
