/**
 * The shape of what comes over the wire, before it is folded: what does not have the shape of PROTOCOL.md must reach no
 * component. Never throws.
 */
import type { SessionEventType } from '@millrace/protocol'
import { MillraceError } from '../errors.ts'
import type { SessionLogEvent, Transcript } from '../session.ts'

/** `[shape]` is a list; a field whose name ends with `?` may be absent. */
type Shape = 'string' | 'number' | 'boolean' | 'object' | 'any' | 'bytes' | readonly [Shape] | Fields
interface Fields {
  readonly [field: string]: Shape
}

const ofLane = { run: 'string', lane: 'string' } as const
const ofCall = { ...ofLane, call: 'string' } as const
const file = { mediaType: 'string', size: 'number', 'name?': 'string' } as const
const measures = {
  usage: { inputTokens: 'number', outputTokens: 'number', totalTokens: 'number' },
  timings: { durationMs: 'number' },
  'cost?': { amount: 'number', currency: 'string' },
} as const
const end = { status: 'string', ...measures } as const

const queued = { entry: 'string', query: 'string' } as const

const events: { readonly [T in SessionEventType]: Shape } = {
  stream_start: {
    run: 'string',
    query: 'string',
    lanes: [{ lane: 'string', model: 'string' }],
    'continues?': 'string',
    'parentLane?': 'string',
  },
  message: { ...ofLane, text: 'string' },
  reasoning: { ...ofLane, reasoning: 'string' },
  tool_call_start: { ...ofCall, name: 'string' },
  tool_call_delta: { ...ofCall, arguments: 'string' },
  tool_call: { ...ofCall, name: 'string', arguments: 'any', by: 'string' },
  tool_result: { ...ofCall, value: 'any' },
  approval_request: { ...ofCall, approval: 'string', expiresAt: 'number' },
  tool_decision: { run: 'string', call: 'string', decision: 'string', 'reason?': 'string', 'by?': 'string' },
  source: { ...ofLane, source: 'string', 'url?': 'string', 'title?': 'string', 'mediaType?': 'string' },
  step_end: { ...ofLane, step: 'number', usage: measures.usage },
  data: { ...ofLane, name: 'string', value: 'any' },
  file: { ...ofLane, ...file },
  file_data: 'bytes',
  upload: { upload: 'string', ...file },
  lane_end: { ...ofLane, ...end },
  stream_end: { run: 'string', ...end, 'lanes?': 'object' },
  queue_added: queued,
  queue_changed: queued,
  queue_moved: { entry: 'string', before: 'any' },
  queue_removed: { entry: 'string' },
}

const optionalMeasures = { 'usage?': measures.usage, 'timings?': measures.timings, 'cost?': measures['cost?'] } as const
const lane: Shape = {
  lane: 'string',
  model: 'string',
  text: 'string',
  reasoning: 'string',
  data: [{ name: 'string', value: 'any' }],
  files: [{ ...file, position: 'string' }],
  parts: [{ type: 'string', 'text?': 'string', 'call?': 'string', 'name?': 'string', 'state?': 'string' }],
  status: 'string',
  ...optionalMeasures,
}
const run: Shape = {
  run: 'string',
  query: 'string',
  'continues?': 'string',
  status: 'string',
  lanes: [lane],
  ...optionalMeasures,
}
const transcript: Shape = { id: 'string', position: 'string', complete: 'boolean', runs: [run], 'queue?': [queued] }

/** `unknown`: of a newer server. */
export function judgeEvent({ type, data }: Exclude<SessionLogEvent, { type: 'gap' }>): 'good' | 'unknown' | 'bad' {
  if (!Object.hasOwn(events, type)) return 'unknown'
  return matches(data, events[type]) ? 'good' : 'bad'
}

/** Throws `bad_answer`. */
export function checkTranscript(given: Transcript): Transcript {
  if (!matches(given, transcript)) throw new MillraceError('bad_answer')
  return given
}

function matches(value: unknown, shape: Shape): boolean {
  if (shape === 'any') return value !== undefined
  if (shape === 'bytes') return value instanceof Uint8Array
  if (typeof shape === 'string') return typeof value === shape && value !== null
  if (isList(shape)) return Array.isArray(value) && value.every((item) => matches(item, shape[0]))
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(shape).every(([key, inner]) => {
    const name = key.replace('?', '')
    const field = (value as Readonly<Record<string, unknown>>)[name]
    return (name !== key && field === undefined) || matches(field, inner)
  })
}

function isList(shape: readonly [Shape] | Fields): shape is readonly [Shape] {
  return Array.isArray(shape)
}
