/** A stream that clients write, as its readers see it. */
import type { Engine, LogEvent } from '../../log/log.ts'
import type { Found } from './state.ts'
import { streamLog } from './stream-log.ts'
import type { Part, View } from './view.ts'

/** Begins with what is kept, where retention has removed what was before it. */
export async function toView(engine: Engine, { name, head, start, state }: Found): Promise<View> {
  const inherited = (state.fork?.inherits ?? []).map(async ({ stream, ...part }): Promise<Part> => {
    const log = streamLog(stream)
    const known = part.upTo > part.after ? await engine.inspect(log) : undefined
    return keptOf({ log, ...part }, known?.start.epoch === part.epoch ? known.start.offset : 0)
  })
  const own = keptOf({ log: streamLog(name), epoch: head.epoch, after: state.base, upTo: state.tail }, start)
  return {
    contentType: state.contentType,
    parts: [...(await Promise.all(inherited)), own],
    isClosed: state.isClosed === true,
    render,
  }
}

function keptOf(part: Part, start: number): Part {
  return start <= part.after ? part : { ...part, after: Math.min(start, part.upTo), isCut: true }
}

function render({ type, data }: LogEvent): Uint8Array | undefined {
  return type === 'data' ? (data as Uint8Array) : undefined
}
