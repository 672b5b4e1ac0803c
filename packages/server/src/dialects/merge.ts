/**
 * Merges consecutive deltas of the same part, so that an answer of thousands of tokens is replayed in a few frames.
 * Only neighbours: a merged event has the position of its last delta, and every event before that position must have been
 * sent. Deltas of two lanes that alternate therefore stay as they are.
 */
import type { SessionEvents } from '@millrace/protocol'
import type { LogEvent } from '../log/log.ts'

/** Keeps a merged event well under `limits.eventBytesMax`. */
const mergedLengthMax = 128 * 1024

type Delta = SessionEvents['message'] & SessionEvents['reasoning'] & SessionEvents['tool_call_delta']

export function mergeDeltas(events: readonly LogEvent[]): readonly LogEvent[] {
  const merged: LogEvent[] = []
  let index = 0
  while (index < events.length) {
    const first = events[index++] as LogEvent
    const field = deltaField(first)
    if (field === undefined) {
      merged.push(first)
      continue
    }
    const { run, lane, part, call, [field]: start } = first.data as Delta
    let text = start
    let last = first
    for (let next = events[index]; next !== undefined; next = events[++index]) {
      const data = next.data as Delta
      if (next.type !== first.type || data.run !== run || data.lane !== lane || data.part !== part || data.call !== call) break
      if (text.length + data[field].length > mergedLengthMax) break
      text += data[field]
      last = next
    }
    merged.push(last === first ? first : { ...last, data: { ...(first.data as Delta), [field]: text } })
  }
  return merged
}

function deltaField({ type }: LogEvent): 'text' | 'reasoning' | 'arguments' | undefined {
  if (type === 'message') return 'text'
  if (type === 'reasoning') return 'reasoning'
  return type === 'tool_call_delta' ? 'arguments' : undefined
}
