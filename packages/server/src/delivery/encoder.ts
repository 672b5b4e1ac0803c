/** The encoder of a reader that does not begin where its wire does: it is given the events in between again. */
import { MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { Encode, Wire } from './wire.ts'

export interface Place {
  readonly engine: Pick<Engine, 'read'>
  readonly log: string
  readonly epoch: string
  readonly offset: number
}

/** Encoded without a pause, for which other readers wait. */
const page = { eventsMax: 512 }

/** An encoder that has had every event up to the offset. Rejects as `Engine.read` does, and where an event is not kept any more. */
export async function encoderAt({ engine, log, epoch, offset }: Place, { since, encode: stateless }: Wire): Promise<Encode> {
  if (since === undefined) return stateless
  const encode = since.begin()
  for (let at = since.offset; at < offset; ) {
    const { events, position, gap } = await engine.read(log, { epoch, offset: at }, page)
    if (gap !== undefined) throw new MillraceError('position_expired')
    for (const event of events) if (event.offset <= offset) encode(event, epoch)
    if (events.length === 0) break
    at = position.offset
    await new Promise((resolve) => setImmediate(resolve))
  }
  return encode
}
