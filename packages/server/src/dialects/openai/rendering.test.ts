/** Whatever a run does: the clients' own readers accept the stream, and it says what a later request for the whole says. */
import type { Json } from '@millrace/protocol'
import fc from 'fast-check'
import { ChatCompletionStream } from 'openai/lib/ChatCompletionStream'
import { ResponseStream } from 'openai/lib/responses/ResponseStream'
import { describe, expect, it } from 'vitest'
import type { LogEvent } from '../../log/log.ts'
import { emptyFold, fold, type RunRecord } from '../../sessions/transcript.ts'
import type { Frame, RunDialect, RunEvent } from '../run-dialect.ts'
import { completionOf } from './chat/body.ts'
import { createChatDialect } from './chat/chunks.ts'
import { runOfItem } from './ids.ts'
import { responseOf } from './responses/body.ts'
import { createResponsesDialect } from './responses/events.ts'

const usage = { inputTokens: 3, outputTokens: 2, totalTokens: 5 }
const view = { session: 's', run: 'r' }
type Lane = 'a' | 'b'

/** What a lane does: a text, a call of one of three kinds, or a part that OpenAI has no word for. */
const text = fc.stringMatching(/^[\w "\\你\n]{1,6}$/)
const step = (lane: Lane) =>
  fc.oneof(
    text.map((said) => [event('message', { run: 'r', lane, text: said })]),
    text.map((said) => [event('reasoning', { run: 'r', lane, reasoning: said })]),
    fc.constant([event('data', { run: 'r', lane, name: 'n', value: 1 })]),
    fc.constant([event('source', { run: 'r', lane, source: 's1' })]),
    fc.record<CallShape>({ by: fc.constantFrom('mine', 'page', 'server', 'model'), pieces: fc.boolean(), failed: fc.boolean() }),
  )

function event(type: string, data: object): LogEvent {
  return { type, data: data as Json, offset: 0, time: 1_700_000_000_000 } as LogEvent
}

type CallShape = { by: string; pieces: boolean; failed: boolean }

function callEvents({ by, pieces, failed }: CallShape, lane: Lane, call: string): LogEvent[] {
  const of = { run: 'r', lane, call }
  const executor = by === 'mine' || by === 'page' ? 'client' : by
  const begun = [
    event('tool_call_start', { ...of, name: by }),
    event('tool_call_delta', { ...of, arguments: '{"a":' }),
    event('tool_call_delta', { ...of, arguments: '1}' }),
  ]
  return [
    ...(pieces ? begun : []),
    event('tool_call', { ...of, name: by, arguments: { a: 1 }, by: executor }),
    ...(executor === 'client' ? [] : [event('tool_result', { ...of, value: 'x', ...(failed && { isError: true }) })]),
  ]
}

const laneOf = (lane: Lane) =>
  fc
    .array(step(lane), { maxLength: 8 })
    .map((steps) => steps.flatMap((each, index) => ('by' in each ? callEvents(each, lane, `c${lane}${index}`) : each)))

const ends = fc.constantFrom('completed', 'waiting', 'stopped')
const reasons = fc.constantFrom('stop', 'length', 'content_filter', 'tool_calls', undefined)

/** With `order`, two lanes whose events alternate. */
const runs = fc
  .record({
    a: laneOf('a'),
    b: fc.option(laneOf('b'), { nil: undefined }),
    order: fc.array(fc.boolean()),
    status: ends,
    reason: reasons,
  })
  .map(({ a, b, order, status, reason }) => {
    const end = { status, ...(reason && { finishReason: reason }), usage, timings: { firstTokenMs: 1, durationMs: 2 } }
    const lanes = (b === undefined ? ['a'] : ['a', 'b']).map((lane) => ({ lane, model: 'm' }))
    const start = { run: 'r', session: 's', query: 'q', parent: null, tools: [{ name: 'mine' }], lanes }
    const rest = { a: [...a], b: [...(b ?? [])] }
    const said: LogEvent[] = []
    for (const first of [...order, ...Array.from({ length: 200 }, (_, index) => index % 2 === 0)]) {
      const next = rest[first ? 'a' : 'b'].shift()
      if (next !== undefined) said.push(next)
    }
    const laneEnds = b === undefined ? [] : lanes.map(({ lane }) => event('lane_end', { run: 'r', lane, model: 'm', ...end }))
    const all = b === undefined ? {} : { lanes: { a: { model: 'm', ...end }, b: { model: 'm', ...end } } }
    return [event('stream_start', start), ...said, ...laneEnds, event('stream_end', { run: 'r', ...end, ...all })].map(
      (each, index) => ({ ...each, offset: index + 1 }),
    )
  })

function record(events: readonly LogEvent[]): RunRecord {
  const log = emptyFold()
  for (const each of events) fold(log, each, 'epoch000')
  return log.runs.get('r')?.record as RunRecord
}

function frames(dialect: RunDialect, events: readonly LogEvent[]): Frame[] {
  const renderer = dialect.begin()
  return events.flatMap((each) => renderer.render(each as unknown as RunEvent))
}

/** As the helpers of the client read a stream that another runtime passes on. */
function asLines(all: readonly Frame[]): ReadableStream {
  const lines = all.filter(({ data }) => data !== '[DONE]').map(({ data }) => `${data}\n`)
  return new Blob(lines).stream()
}

describe('a run, streamed and read as a whole', () => {
  it('is the same chat completion', async () => {
    await fc.assert(
      fc.asyncProperty(runs, async (events) => {
        const all = frames(createChatDialect({ ...view, includeUsage: true }), events)
        const { choices, ...rest } = await ChatCompletionStream.fromReadableStream(asLines(all)).finalChatCompletion()
        const whole = completionOf('s', record(events)) as unknown as typeof rest & { choices: typeof choices }
        expect({ ...rest, choices: choices.map(bare) }).toEqual({ ...whole, choices: whole.choices.map(bare) })
        expect(reasoningOf(all)).toEqual(
          Object.fromEntries(whole.choices.flatMap(({ index, message }) => reasoned(index, message))),
        )
      }),
    )
  })

  it('is the same response, and its events follow the rules of the strict reader', async () => {
    await fc.assert(
      fc.asyncProperty(runs, async (events) => {
        const all = frames(createResponsesDialect(view), events)
        expect(all.map(({ data }) => JSON.parse(data).sequence_number)).toEqual(all.map((_, index) => index))
        expect(all.every(({ event: name, data }) => JSON.parse(data).type === name)).toBe(true)
        const {
          output,
          output_text: _text,
          output_parsed: _parsed,
          ...rest
        } = await ResponseStream.fromReadableStream(asLines(all)).finalResponse()
        const { output: whole, ...body } = responseOf('s', record(events)) as { output: { id: string }[] }
        expect(JSON.parse(JSON.stringify(rest))).toEqual(body)
        // Of several lanes the items are in the order in which they began; of a body, by lane.
        const byId = (items: readonly { id?: string | undefined }[]) => items.map(clean).sort((a, b) => (a.id < b.id ? -1 : 1))
        expect(byId(output)).toEqual(byId(whole))
        for (const { id } of whole) expect(runOfItem(id)).toEqual(view)
      }),
    )
  })
})

/** By choice. The client's own reader keeps only its last piece, as it does not know the field. */
function reasoningOf(all: readonly Frame[]): Record<number, string> {
  const found: Record<number, string> = {}
  for (const { data } of all.slice(0, -1))
    for (const { index, delta } of JSON.parse(data).choices)
      if (delta.reasoning_content !== undefined) found[index] = (found[index] ?? '') + delta.reasoning_content
  return found
}

function reasoned(index: number, message: object) {
  return 'reasoning_content' in message ? [[index, message.reasoning_content] as const] : []
}

/** Without what the client adds to what it has read. */
function bare({ message, ...choice }: { message: object }) {
  const { parsed: _parsed, reasoning_content: _reasoning, content, tool_calls: calls, ...said } = message as Record<string, never>
  const plain = (calls as unknown as { function: object }[] | undefined)?.map(({ function: of, ...call }) => {
    const { parsed_arguments: _arguments, ...given } = of as Record<string, unknown>
    return { ...call, function: given }
  })
  return { ...choice, message: { ...said, content: content || null, ...(plain && plain.length > 0 && { tool_calls: plain }) } }
}

function clean(item: object): { id: string } {
  return JSON.parse(JSON.stringify(item, (key, value) => (key.startsWith('parsed') ? undefined : value)))
}
