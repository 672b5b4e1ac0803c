/** A stream that clients write, as its readers see it. */
import type { Engine, LogEvent } from '../../log/log.ts'
import type { Found } from './state.ts'
import { streamLog } from './stream-log.ts'
import type { Part, View } from './view.ts'

/** Begins with what is kept, where retention has removed what was before it. */
export async function toView(engine: Engine, { name, head, start, state }: Found): Promise<View> {
  const inherited = (state.fork?.inherits ?? []).map(async ({ stream, epoch, after, upTo }): Promise<Part> => {
    const log = streamLog(stream)
    const known = upTo > after ? await engine.inspect(log) : undefined
    const kept = known?.start.epoch === epoch ? known.start.offset : after
    return { log, epoch, after: Math.min(upTo, Math.max(after, kept)), upTo }
  })
  const own = {
    log: streamLog(name),
    epoch: head.epoch,
    after: Math.max(state.base, Math.min(start, state.tail)),
    upTo: state.tail,
  }
  return {
    contentType: state.contentType,
    parts: [...(await Promise.all(inherited)), own],
    isClosed: state.isClosed === true,
    render,
  }
}

function render({ type, data }: LogEvent): Uint8Array | undefined {
  return type === 'data' ? (data as Uint8Array) : undefined
}
