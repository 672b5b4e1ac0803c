/** A dialect in server-sent events: the bytes that all readers of a log share. */
import { encodeSseEvent } from '@millrace/protocol'
import type { Wire } from '../delivery/wire.ts'
import { type Dialect, dataText } from '../dialects/dialect.ts'

/** By dialect: a wire takes 400 bytes, and most logs have the same dialect. */
const wires = new WeakMap<Dialect, Wire>()

export function sseWire(dialect: Dialect): Wire {
  const known = wires.get(dialect)
  if (known !== undefined) return known
  const wire = createWire(dialect)
  wires.set(dialect, wire)
  return wire
}

function createWire(dialect: Dialect): Wire {
  return {
    key: `sse ${dialect.key}`,
    encode(event, epoch) {
      const rendered = dialect.render(event)
      if (rendered === undefined) return ''
      return encodeSseEvent({
        event: rendered.event,
        id: dialect.position({ epoch, offset: event.offset }),
        data: dataText(rendered.data),
      })
    },
    encodeGap(from, to) {
      const data = JSON.stringify({ from: dialect.position(from), to: dialect.position(to) })
      return encodeSseEvent({ event: 'gap', id: dialect.position(to), data })
    },
    merge: dialect.merge,
    isLast: dialect.isLast,
  }
}
