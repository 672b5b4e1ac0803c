/** The stream of a run, as bytes and as the AI SDK itself reads it. */
import { encodeJson, MillraceError, type SessionEvent } from '@millrace/protocol'
import { readUIMessageStream, type UIMessage, type UIMessageChunk } from 'ai'
import { describe, expect, it } from 'vitest'
import type { LogEvent } from '../../log/log.ts'
import { mergeDeltas } from '../merge.ts'
import type { RunEvent } from '../run-dialect.ts'
import { createUiMessageDialect, type UiMessageView } from './render.ts'

const usage = { inputTokens: 1, outputTokens: 2, totalTokens: 3 }
const end = { usage, timings: { firstTokenMs: 1, durationMs: 2 } }
const view: UiMessageView = { session: 's', run: 'r', epoch: 'k3f9a2xq', first: 'r' }
const a = { run: 'r', lane: 'a' }
const b = { run: 'r', lane: 'b' }

const startOf = (run: string, lanes: string[]) => ({
  run,
  session: 's',
  query: 'why?',
  lanes: lanes.map((lane) => ({ lane, model: `sim:${lane}` })),
})
const start = (...lanes: string[]): SessionEvent => ({ type: 'stream_start', data: startOf('r', lanes) })

function ended(status: 'completed' | 'waiting' | 'stopped' | 'failed' | 'interrupted', more: object = {}): SessionEvent {
  return { type: 'stream_end', data: { run: 'r', status, ...more, ...end } } as SessionEvent
}

/** With offsets from 1. */
function logged(events: readonly SessionEvent[]): LogEvent[] {
  return events.map((event, index) => ({ ...event, offset: index + 1, time: 1 }) as LogEvent)
}

function render(events: readonly SessionEvent[], of: UiMessageView = view): string[] {
  const renderer = createUiMessageDialect(of).begin()
  return logged(events).flatMap((event) => renderer.render(event as unknown as RunEvent).map(({ data }) => data))
}

async function read(frames: readonly string[], message?: UIMessage): Promise<UIMessage | undefined> {
  const stream = new ReadableStream<UIMessageChunk>({
    start(controller) {
      for (const frame of frames) controller.enqueue(JSON.parse(frame))
      controller.close()
    },
  })
  let last: UIMessage | undefined
  for await (const next of readUIMessageStream({ stream, ...(message && { message }) })) last = next
  return last
}

const partsOf = (message: UIMessage | undefined) => JSON.parse(JSON.stringify(message?.parts)) as object[]

describe('the stream of one lane', () => {
  it('has these bytes', () => {
    const events: SessionEvent[] = [
      start('a'),
      { type: 'reasoning', data: { ...a, reasoning: 'so\n' } },
      { type: 'message', data: { ...a, part: 1, text: '你好 "x"' } },
      { type: 'message', data: { ...a, part: 1, text: '!' } },
      { type: 'tool_call_start', data: { ...a, call: 'c', name: 'weather' } },
      { type: 'tool_call_delta', data: { ...a, call: 'c', arguments: '{}' } },
      { type: 'tool_call', data: { ...a, call: 'c', name: 'weather', arguments: {}, by: 'server' } },
      { type: 'tool_result', data: { ...a, call: 'c', value: 7 } },
      { type: 'step_end', data: { ...a, step: 0, usage } },
      { type: 'file', data: { ...a, mediaType: 'image/png', name: 'a.png', size: 3 } },
      { type: 'file_data', data: Uint8Array.of(1, 2, 3) },
      { type: 'source', data: { ...a, source: '1', url: 'https://example.org/' } },
      { type: 'data', data: { ...a, name: 'chart', value: [1] } },
      ended('completed', { finishReason: 'stop' }),
    ]
    expect(render(events)).toEqual([
      '{"type":"start","messageId":"answer-r","messageMetadata":{"session":"s","run":"r","model":"sim:a"}}',
      '{"type":"start-step"}',
      '{"type":"reasoning-start","id":"0"}',
      '{"type":"reasoning-delta","id":"0","delta":"so\\n"}',
      '{"type":"reasoning-end","id":"0"}',
      '{"type":"text-start","id":"1"}',
      '{"type":"text-delta","id":"1","delta":"你好 \\"x\\""}',
      '{"type":"text-delta","id":"1","delta":"!"}',
      '{"type":"text-end","id":"1"}',
      '{"type":"tool-input-start","toolCallId":"c","toolName":"weather"}',
      '{"type":"tool-input-delta","toolCallId":"c","inputTextDelta":"{}"}',
      '{"type":"tool-input-available","toolCallId":"c","toolName":"weather","input":{},"providerExecuted":true}',
      '{"type":"tool-output-available","toolCallId":"c","output":7}',
      '{"type":"finish-step"}',
      '{"type":"start-step"}',
      '{"type":"file","url":"/api/files/s/k3f9a2xq-10","mediaType":"image/png","providerMetadata":{"millrace":{"size":3,"name":"a.png"}}}',
      '{"type":"source-url","sourceId":"1","url":"https://example.org/"}',
      '{"type":"data-chart","data":[1]}',
      '{"type":"finish-step"}',
      `{"type":"finish","finishReason":"stop","messageMetadata":{"status":"completed","usage":${encodeJson(usage)},"timings":{"firstTokenMs":1,"durationMs":2}}}`,
    ])
  })

  it.each([
    ['completed', { finishReason: 'content_filter' }, ['finish'], 'content-filter'],
    ['waiting', {}, ['finish'], 'tool-calls'],
    ['stopped', {}, ['abort', 'finish'], 'interrupted'],
    [
      'failed',
      { error: { code: 'model_failed', message: 'No.', retryable: true } },
      ['message-metadata', 'error', 'finish'],
      'error',
    ],
    ['interrupted', {}, ['finish'], 'interrupted'],
  ] as const)('that is %s has its last frame', (status, more, types, finishReason) => {
    const frames = render([start('a'), { type: 'message', data: { ...a, text: 'x' } }, ended(status, more)])
    const chunks = frames.map((frame) => JSON.parse(frame) as UIMessageChunk)
    expect(chunks.slice(4).map(({ type }) => type)).toEqual(['text-end', 'finish-step', ...types])
    expect(chunks.at(-1)).toMatchObject({ type: 'finish', finishReason, messageMetadata: { status } })
    if (status === 'failed') expect(chunks.at(-2)).toEqual({ type: 'error', errorText: 'No.' })
  })

  it('has its last frame where the run cannot be read on', () => {
    const frames = createUiMessageDialect(view).fail(new MillraceError('position_expired'))
    expect(frames.map(({ data }) => JSON.parse(data).type)).toEqual(['error', 'finish'])
  })
})

it('is the same message of deltas that were merged', async () => {
  const deltas = ['one ', 'two ', 'three'].map((text): SessionEvent => ({ type: 'message', data: { ...a, part: 1, text } }))
  const events: SessionEvent[] = [
    start('a'),
    { type: 'reasoning', data: { ...a, reasoning: 'so ' } },
    { type: 'reasoning', data: { ...a, reasoning: 'on' } },
    ...deltas,
    { type: 'tool_call_start', data: { ...a, call: 'c', name: 'weather' } },
    { type: 'tool_call_delta', data: { ...a, call: 'c', arguments: '{"a"' } },
    { type: 'tool_call_delta', data: { ...a, call: 'c', arguments: ':1}' } },
    { type: 'tool_call', data: { ...a, call: 'c', name: 'weather', arguments: { a: 1 }, by: 'server' } },
    ended('completed'),
  ]
  const renderer = createUiMessageDialect({ ...view, merges: true }).begin()
  const merged = mergeDeltas(logged(events)).flatMap((event) =>
    renderer.render(event as unknown as RunEvent).map(({ data }) => data),
  )
  expect(merged.length).toBe(render(events).length - 4)
  expect(await read(merged)).toEqual(await read(render(events)))
})

it('is one message of several lanes, whose parts name theirs', async () => {
  const frames = render([
    start('a', 'b'),
    { type: 'message', data: { ...a, text: 'one ' } },
    { type: 'message', data: { ...b, text: 'uno ' } },
    { type: 'message', data: { ...a, text: 'two' } },
    { type: 'tool_call_start', data: { ...b, call: 'c', name: 'weather' } },
    { type: 'step_end', data: { ...a, step: 0, usage } },
    { type: 'message', data: { ...a, part: 1, text: 'three' } },
    { type: 'tool_call', data: { ...b, call: 'c', name: 'weather', arguments: {}, by: 'server' } },
    { type: 'tool_result', data: { ...b, call: 'c', value: 7 } },
    { type: 'lane_end', data: { ...a, status: 'completed', model: 'sim:a', ...end } },
    ended('completed', { lanes: { a: { status: 'completed', model: 'sim:a', ...end } } }),
  ])
  const message = await read(frames)
  const of = (lane: string) => ({ millrace: { lane } })
  expect(partsOf(message)).toMatchObject([
    { type: 'step-start' },
    { type: 'text', text: 'one two', state: 'done', providerMetadata: of('a') },
    { type: 'text', text: 'uno ', state: 'done', providerMetadata: of('b') },
    { type: 'tool-weather', state: 'output-available', output: 7, callProviderMetadata: of('b') },
    { type: 'text', text: 'three', state: 'done', providerMetadata: of('a') },
  ])
  expect(message?.metadata).toMatchObject({
    run: 'r',
    lanes: { a: { model: 'sim:a', status: 'completed' }, b: { model: 'sim:b' } },
  })
})

describe('an answer that a run continues', () => {
  const call = { call: 'c', name: 'pay', arguments: { sum: 5 } }
  const before: SessionEvent[] = [
    start('a'),
    { type: 'message', data: { ...a, text: 'well' } },
    { type: 'tool_call', data: { ...a, ...call, by: 'server' } },
    { type: 'approval_request', data: { ...a, call: 'c', approval: 'p', expiresAt: 9 } },
    ended('waiting'),
  ]
  const after: SessionEvent[] = [
    { type: 'stream_start', data: { ...startOf('r2', ['a']), continues: 'r' } },
    { type: 'tool_call', data: { ...a, ...call, arguments: { sum: 4 }, by: 'server', isRepeated: true } },
    { type: 'tool_result', data: { ...a, call: 'c', value: 'paid' } },
    { type: 'message', data: { ...a, part: 1, text: 'done' } },
    ended('completed'),
  ]
  const parts = [
    { type: 'text' as const, text: 'well' },
    { type: 'tool' as const, ...call, by: 'server' as const, state: 'called' as const, approval: 'p' },
  ]
  const shown = [
    { type: 'step-start' },
    { type: 'text', text: 'well', state: 'done' },
    { type: 'tool-pay', toolCallId: 'c', state: 'output-available', output: 'paid', approval: { id: 'p' } },
    { type: 'step-start' },
    { type: 'text', text: 'done', state: 'done' },
  ]

  it('goes on in the message of the client that has it', async () => {
    const message = await read(render(before))
    const view2 = { ...view, run: 'r2', earlier: { lanes: [{ lane: 'a', parts }], isShown: false } }
    const whole = await read(render(after, view2), message)
    expect(whole?.id).toBe('answer-r')
    expect(partsOf(whole)).toMatchObject(shown)
  })

  it('is the same message for a client that has nothing', async () => {
    const view2 = { ...view, run: 'r2', earlier: { lanes: [{ lane: 'a', parts }], isShown: true } }
    const whole = await read(render(after, view2))
    expect(whole?.id).toBe('answer-r')
    expect(partsOf(whole)).toMatchObject(shown)
    expect(partsOf(whole)[2]).toMatchObject({ input: { sum: 4 } })
  })
})
