import { MillraceError, type SessionEvents, type SessionEventType } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import type { RunEvent } from '../../run-dialect.ts'
import { createResponsesDialect } from './events.ts'

type Given = { [T in SessionEventType]: readonly [T, SessionEvents[T]] }[SessionEventType]

const dialect = createResponsesDialect({ session: 's', run: 'r' })
const base = { run: 'r', lane: 'm' } as const
const usage = { inputTokens: 3, outputTokens: 2, totalTokens: 5, reasoningTokens: 1, cachedInputTokens: 2 }
const end = { run: 'r', status: 'completed', usage, timings: { firstTokenMs: 1, durationMs: 2 } } as const
const lanes = [{ lane: 'm', model: 'm' }]
const start = ['stream_start', { run: 'r', session: 's', query: 'q', lanes, parent: 'p', metadata: { a: 'b' } }] as const

function render(events: readonly Given[]) {
  const renderer = dialect.begin()
  return events.flatMap(([type, data], index) => {
    const event = { type, data, offset: index + 1, time: 1_700_000_000_500 }
    return renderer.render(event as unknown as RunEvent).map((frame) => ({ ...frame, of: type }))
  })
}

const last = (events: readonly Given[]) => JSON.parse(render(events).at(-1)?.data ?? '{}')

describe('events of the Responses API', () => {
  it('have exactly these bytes', () => {
    const frames = render([
      start,
      ['reasoning', { ...base, reasoning: 'hm' }],
      ['message', { ...base, part: 1, text: '你"\n' }],
      ['stream_end', { ...end, finishReason: 'stop' }],
    ])
    const reasoning = '"item_id":"rs_s.r.0.0","output_index":0,"content_index":0'
    const message = '"item_id":"msg_s.r.0.1","output_index":1,"content_index":0'
    const text = '"type":"output_text","text":"你\\"\\n","annotations":[],"logprobs":[]'
    expect(frames.slice(2, -1).map(({ data }) => data)).toEqual([
      '{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"rs_s.r.0.0","type":"reasoning","summary":[],"content":[],"status":"in_progress"}}',
      `{"type":"response.content_part.added","sequence_number":3,${reasoning},"part":{"type":"reasoning_text","text":""}}`,
      `{"type":"response.reasoning_text.delta","sequence_number":4,${reasoning},"delta":"hm"}`,
      `{"type":"response.reasoning_text.done","sequence_number":5,${reasoning},"text":"hm"}`,
      `{"type":"response.content_part.done","sequence_number":6,${reasoning},"part":{"type":"reasoning_text","text":"hm"}}`,
      '{"type":"response.output_item.done","sequence_number":7,"output_index":0,"item":{"id":"rs_s.r.0.0","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}],"status":"completed"}}',
      '{"type":"response.output_item.added","sequence_number":8,"output_index":1,"item":{"id":"msg_s.r.0.1","type":"message","role":"assistant","content":[],"status":"in_progress"}}',
      `{"type":"response.content_part.added","sequence_number":9,${message},"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}`,
      `{"type":"response.output_text.delta","sequence_number":10,${message},"delta":"你\\"\\n","logprobs":[]}`,
      `{"type":"response.output_text.done","sequence_number":11,${message},"text":"你\\"\\n","logprobs":[]}`,
      `{"type":"response.content_part.done","sequence_number":12,${message},"part":{${text}}}`,
      `{"type":"response.output_item.done","sequence_number":13,"output_index":1,"item":{"id":"msg_s.r.0.1","type":"message","role":"assistant","content":[{${text}}],"status":"completed"}}`,
    ])
    const { response, ...created } = JSON.parse(frames[0]?.data ?? '')
    expect([frames[0]?.event, created]).toEqual(['response.created', { type: 'response.created', sequence_number: 0 }])
    expect(response).toEqual({
      id: 'resp_s.r',
      object: 'response',
      created_at: 1_700_000_000,
      status: 'in_progress',
      error: null,
      incomplete_details: null,
      model: 'm',
      output: [],
      conversation: { id: 'conv_s' },
      previous_response_id: 'resp_s.p',
      instructions: null,
      metadata: { a: 'b' },
      tools: [],
      tool_choice: 'auto',
      parallel_tool_calls: true,
      temperature: null,
      top_p: null,
      max_output_tokens: null,
      reasoning: { effort: null, summary: null },
      text: { format: { type: 'text' } },
      store: true,
      usage: null,
      millrace: { session: 's', run: 'r', status: 'streaming' },
    })
    expect(JSON.parse(frames.at(-1)?.data ?? '')).toMatchObject({
      type: 'response.completed',
      sequence_number: 14,
      response: {
        status: 'completed',
        usage: {
          input_tokens: 3,
          input_tokens_details: { cached_tokens: 2 },
          output_tokens: 2,
          output_tokens_details: { reasoning_tokens: 1 },
          total_tokens: 5,
        },
      },
    })
  })

  it.each([
    ['completed', 'length', 'response.incomplete', { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }],
    [
      'completed',
      'content_filter',
      'response.incomplete',
      { status: 'incomplete', incomplete_details: { reason: 'content_filter' } },
    ],
    ['completed', undefined, 'response.completed', { status: 'completed' }],
    ['waiting', 'tool_calls', 'response.completed', { status: 'completed' }],
    ['stopped', undefined, 'response.incomplete', { status: 'cancelled', incomplete_details: null }],
    ['interrupted', undefined, 'response.failed', { status: 'failed', error: { code: 'server_error' } }],
  ] as const)('end after %s %s with %s', (status, finishReason, type, response) => {
    const stream = last([
      start,
      ['message', { ...base, text: 'x' }],
      ['stream_end', { ...end, status, ...(finishReason && { finishReason }) }],
    ])
    expect(stream).toMatchObject({ type, response })
    const whole = status === 'completed' || status === 'waiting'
    expect(stream.response.output).toMatchObject([{ status: whole ? 'completed' : 'incomplete' }])
  })

  it.each([
    ['model_rate_limited', 'rate_limit_exceeded'],
    ['model_rejected', 'invalid_prompt'],
    ['model_failed', 'server_error'],
  ] as const)('say why they failed, in the codes that clients know: %s', (code, known) => {
    const error = { code, message: 'Why.', retryable: false }
    const stream = last([start, ['stream_end', { ...end, status: 'failed', error }]])
    expect(stream).toMatchObject({ type: 'response.failed', response: { error: { code: known, message: 'Why.' } } })
  })

  it('close what is open where a run ends early, and where a text follows a part that no item expresses', () => {
    const names = (events: readonly Given[]) =>
      render(events).flatMap(({ data }) => {
        const { type, item } = JSON.parse(data)
        return type.startsWith('response.output_item') ? [`${type.split('.')[2]} ${item.id} ${item.status}`] : []
      })
    const tools = [{ name: 'mine' }]
    expect(
      names([
        ['stream_start', { ...start[1], tools }],
        ['message', { ...base, text: 'x' }],
        ['data', { ...base, name: 'n', value: 1 }],
        ['message', { ...base, part: 2, text: 'y' }],
        ['tool_call_start', { ...base, call: 'a', name: 'mine' }],
        ['tool_call', { ...base, call: 'b', name: 'own', arguments: {}, by: 'server' }],
        ['stream_end', { ...end, status: 'stopped' }],
      ]),
    ).toEqual([
      'added msg_s.r.0.0 in_progress',
      'done msg_s.r.0.0 completed',
      'added msg_s.r.0.1 in_progress',
      'done msg_s.r.0.1 completed',
      'added fc_s.r.0.2 in_progress',
      'added mcp_s.r.0.3 in_progress',
      'done fc_s.r.0.2 incomplete',
      'done mcp_s.r.0.3 incomplete',
    ])
  })

  it('end with an error where the run cannot be read on', () => {
    const [frame] = dialect.fail(new MillraceError('position_expired'))
    expect(frame?.event).toBe('error')
    expect(JSON.parse(frame?.data ?? '')).toMatchObject({ type: 'error', code: 'position_expired', param: null })
  })
})
