import type { SessionEvents, SessionEventType } from '@millrace/protocol'
import { MillraceError } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import type { LogEvent } from '../../../log/log.ts'
import type { Frame, RunEvent } from '../../run-dialect.ts'
import { createChatDialect } from './chunks.ts'

type Given = { [T in SessionEventType]: readonly [T, SessionEvents[T]] }[SessionEventType]

const view = { session: 's', run: 'r', includeUsage: false }
const usage = { inputTokens: 3, outputTokens: 2, totalTokens: 5, reasoningTokens: 1, cachedInputTokens: 2 }
const end = { run: 'r', status: 'completed', usage, timings: { firstTokenMs: 1, durationMs: 2 } } as const
const base = { run: 'r', lane: 'm' } as const
const start = ['stream_start', { run: 'r', session: 's', query: 'q', lanes: [{ lane: 'm', model: 'm' }] }] as const

function logged(events: readonly Given[]): LogEvent[] {
  return events.map(([type, data], index) => ({
    type,
    data: data as LogEvent['data'],
    offset: index + 1,
    time: 1_700_000_000_500,
  }))
}

function render(events: readonly Given[], options: Partial<typeof view> = {}): Frame[] {
  const renderer = createChatDialect({ ...view, ...options }).begin()
  return logged(events).flatMap((event) => renderer.render(event as unknown as RunEvent))
}

/** The chunks without what is the same in all of them. */
function choices(frames: readonly Frame[]) {
  return frames.flatMap(({ data }) => (data === '[DONE]' ? [data] : [JSON.parse(data).choices ?? JSON.parse(data)]))
}

const choice = (delta: object, finish_reason: string | null = null, more: object = {}) => [
  { index: 0, delta, finish_reason, logprobs: null, ...more },
]

describe('chunks of Chat Completions', () => {
  it('have exactly these bytes', () => {
    const frames = render([
      start,
      ['reasoning', { ...base, reasoning: 'hm' }],
      ['message', { ...base, part: 1, text: '你"\n' }],
      ['stream_end', { ...end, finishReason: 'length' }],
    ])
    const head =
      '{"id":"chatcmpl_s.r","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":'
    expect(frames).toEqual([
      { data: `${head}{"role":"assistant","content":""},"finish_reason":null,"logprobs":null}]}` },
      { data: `${head}{"reasoning_content":"hm"},"finish_reason":null,"logprobs":null}]}` },
      { data: `${head}{"content":"你\\"\\n"},"finish_reason":null,"logprobs":null}]}` },
      { data: `${head}{},"finish_reason":"length","logprobs":null}]}` },
      { data: '[DONE]' },
    ])
  })

  it('say the usage in the last one, and null before, where the request includes it', () => {
    const frames = render([start, ['message', { ...base, text: 'x' }], ['stream_end', end]], { includeUsage: true })
    const usages = frames.slice(0, -1).map(({ data }) => JSON.parse(data).usage)
    const details = { prompt_tokens_details: { cached_tokens: 2 }, completion_tokens_details: { reasoning_tokens: 1 } }
    expect(usages).toEqual([null, null, null, { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5, ...details }])
    expect(choices(frames).slice(-2)).toEqual([[], '[DONE]'])
  })

  it('stream the calls that the client executes, and show no others', () => {
    const tools = [{ name: 'weather' }]
    const call = { ...base, call: 'c1' }
    const frames = render([
      ['stream_start', { ...start[1], tools }],
      ['tool_call_start', { ...base, call: 'c0', name: 'own' }],
      ['tool_call_delta', { ...base, call: 'c0', arguments: '{}' }],
      ['tool_call', { ...base, call: 'c0', name: 'own', arguments: {}, by: 'server' }],
      ['tool_result', { ...base, call: 'c0', value: 1 }],
      ['step_end', { ...base, step: 0, usage }],
      ['tool_call_start', { ...call, name: 'weather' }],
      ['tool_call_delta', { ...call, arguments: '{"city"' }],
      ['tool_call_delta', { ...call, arguments: ':"x"}' }],
      ['tool_call', { ...call, name: 'weather', arguments: { city: 'x' }, by: 'client' }],
      ['tool_call', { ...base, call: 'c2', name: 'page', arguments: { a: 1 }, by: 'client' }],
      ['tool_call_start', { ...base, call: 'c3', name: 'weather' }],
      ['tool_call', { ...base, call: 'c3', name: 'weather', arguments: {}, by: 'client' }],
      ['stream_end', { ...end, status: 'waiting', finishReason: 'tool_calls' }],
    ])
    const begun = (index: number, id: string, name: string, given = '') =>
      choice({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: given } }] })
    const piece = (index: number, given: string) => choice({ tool_calls: [{ index, function: { arguments: given } }] })
    expect(choices(frames)).toEqual([
      choice({ role: 'assistant', content: '' }),
      begun(0, 'c1', 'weather'),
      piece(0, '{"city"'),
      piece(0, ':"x"}'),
      begun(1, 'c2', 'page', '{"a":1}'),
      begun(2, 'c3', 'weather'),
      piece(2, '{}'),
      choice({}, 'tool_calls'),
      '[DONE]',
    ])
  })

  it('of a run that goes on with calls begin after them', () => {
    const frames = render([
      start,
      ['tool_call', { ...base, call: 'c1', name: 'page', arguments: {}, by: 'client', isRepeated: true }],
      ['tool_result', { ...base, call: 'c1', value: 1 }],
      ['message', { ...base, part: 1, text: 'x' }],
    ])
    expect(choices(frames)).toEqual([choice({ role: 'assistant', content: '' }), choice({ content: 'x' })])
  })

  it('have a choice for each lane, which ends with its lane', () => {
    const lanes = [
      { lane: 'm', model: 'm' },
      { lane: 'm#2', model: 'm' },
    ]
    const { run: _run, ...laneEnd } = { ...end, model: 'm' }
    const frames = render([
      ['stream_start', { ...start[1], lanes }],
      ['message', { run: 'r', lane: 'm#2', text: 'b' }],
      ['lane_end', { run: 'r', lane: 'm#2', ...laneEnd, finishReason: 'stop' }],
      ['message', { run: 'r', lane: 'm', text: 'a' }],
      ['lane_end', { run: 'r', lane: 'm', ...laneEnd, status: 'failed' }],
      ['stream_end', { ...end, lanes: {} }],
    ])
    const seen = choices(frames).flatMap((each) =>
      typeof each === 'string'
        ? each
        : each.map((one: { index: number; finish_reason: string }) => [one.index, one.finish_reason]),
    )
    expect(seen).toEqual([[0, null], [1, null], [1, null], [1, 'stop'], [0, null], [0, 'stop'], '[DONE]'])
  })

  it.each([
    ['completed', 'stop', undefined],
    ['completed', 'tool_calls', undefined],
    ['completed', undefined, undefined],
    ['stopped', undefined, 'stopped'],
    ['waiting', 'tool_calls', 'waiting'],
  ] as const)('end with a reason and [DONE] after %s %s', (status, finishReason, said) => {
    const frames = render([start, ['stream_end', { ...end, status, ...(finishReason && { finishReason }) }]])
    const more = said === undefined ? {} : { millrace: { status: said } }
    expect(choices(frames).slice(1)).toEqual([choice({}, 'stop', more), '[DONE]'])
  })

  it('end with an error and [DONE] after a failure, an interruption, and where the run cannot be read on', () => {
    const error = { code: 'model_rate_limited', message: 'Later.', retryable: true } as const
    expect(choices(render([start, ['stream_end', { ...end, status: 'failed', error }]])).slice(1)).toEqual([
      { error: { message: 'Later.', type: 'rate_limit_error', param: null, code: 'model_rate_limited' } },
      '[DONE]',
    ])
    expect(choices(render([start, ['stream_end', { ...end, status: 'interrupted' }]])).slice(1)).toMatchObject([
      { error: { type: 'server_error', code: 'interrupted' } },
      '[DONE]',
    ])
    const failed = createChatDialect(view).fail(new MillraceError('position_expired'))
    expect(choices(failed)).toMatchObject([{ error: { code: 'position_expired' } }, '[DONE]'])
  })
})
