/** The frames of a message, byte for byte, and the rule that one block is open at a time. */
import { MillraceError } from '@millrace/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogEvent } from '../../log/log.ts'
import type { RunEvent } from '../run-dialect.ts'
import { anthropicDialect } from './rendering.ts'

const usage = { inputTokens: 2, outputTokens: 3, totalTokens: 5 }
const end = { status: 'completed', usage, timings: { firstTokenMs: 4, durationMs: 10 } }
const start = [
  'stream_start',
  { session: 's', query: 'q', lanes: [{ lane: 'm', model: 'm' }], tools: [{ name: 'look' }] },
] as const
const m = { lane: 'm' }

type Given = readonly (readonly [string, object | Uint8Array])[]

function framesOf(...events: Given): string[] {
  const renderer = anthropicDialect.begin()
  return events
    .map(([type, data], index): LogEvent => {
      const named = data instanceof Uint8Array ? data : { run: 'r', ...data }
      return { type, data: named as never, offset: index + 1, time: 1000 + index }
    })
    .flatMap((event) => renderer.render(event as unknown as RunEvent))
    .map(({ event, data }) => `${event} ${data}`)
}

describe('the frames of a message', () => {
  it('are blocks of what was thought, said and called', () => {
    const frames = framesOf(
      start,
      ['reasoning', { ...m, reasoning: 'hm' }],
      ['message', { ...m, part: 1, text: '你' }],
      ['message', { ...m, part: 1, text: '\n好' }],
      ['tool_call', { ...m, call: 'a', name: 'server', arguments: {}, by: 'server' }],
      ['tool_result', { ...m, call: 'a', value: 1 }],
      ['step_end', { ...m, step: 0, usage }],
      ['data', { ...m, name: 'x', value: 1 }],
      ['file', { ...m, mediaType: 'image/png', size: 1 }],
      ['file_data', new Uint8Array(1)],
      ['tool_call_start', { ...m, call: 'b', name: 'look' }],
      ['tool_call_delta', { ...m, call: 'b', arguments: '{"a":' }],
      ['tool_call_delta', { ...m, call: 'b', arguments: '1}' }],
      ['tool_call', { ...m, call: 'b', name: 'look', arguments: { a: 1 }, by: 'client' }],
      ['tool_call', { ...m, call: 'c', name: 'own', arguments: { b: 2 }, by: 'client' }],
      ['stream_end', { ...end, status: 'waiting', finishReason: 'tool_calls' }],
    )
    expect(frames).toMatchInlineSnapshot(`
      [
        "message_start {"type":"message_start","message":{"id":"msg_r","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":0}}}",
        "content_block_start {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}",
        "content_block_delta {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}",
        "content_block_stop {"type":"content_block_stop","index":0}",
        "content_block_start {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}",
        "content_block_delta {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"你"}}",
        "content_block_delta {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"\\n好"}}",
        "content_block_stop {"type":"content_block_stop","index":1}",
        "content_block_start {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"b","name":"look","input":{}}}",
        "content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\\"a\\":"}}",
        "content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}}",
        "content_block_stop {"type":"content_block_stop","index":2}",
        "content_block_start {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"c","name":"own","input":{}}}",
        "content_block_delta {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\\"b\\":2}"}}",
        "content_block_stop {"type":"content_block_stop","index":3}",
        "message_delta {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":2,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":3}}",
        "message_stop {"type":"message_stop"}",
      ]
    `)
  })

  it.each([
    ['completed', 'stop', 'end_turn'],
    ['completed', 'length', 'max_tokens'],
    ['completed', 'content_filter', 'refusal'],
    ['stopped', undefined, 'end_turn'],
    ['waiting', 'tool_calls', 'pause_turn'],
  ])('say that a run has ended as %s with %s', (status, finishReason, reason) => {
    expect(framesOf(start, ['stream_end', { ...end, status, finishReason }]).slice(1)).toEqual([
      `message_delta {"type":"message_delta","delta":{"stop_reason":"${reason}","stop_sequence":null},"usage":{"input_tokens":2,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":3}}`,
      'message_stop {"type":"message_stop"}',
    ])
  })

  it('count what was in the cache apart', () => {
    const cached = { ...end, usage: { ...usage, inputTokens: 9, cachedInputTokens: 7 }, finishReason: 'stop' }
    const counted = /"usage":(\{.*?\})/.exec(framesOf(start, ['stream_end', cached]).at(-2) ?? '')?.[1]
    expect(counted).toBe('{"input_tokens":2,"cache_creation_input_tokens":null,"cache_read_input_tokens":7,"output_tokens":3}')
  })

  it('say that a run has failed, or that its server has died', () => {
    const error = { code: 'model_rate_limited', message: 'Slow down.', retryable: true }
    expect([
      framesOf(start, ['stream_end', { ...end, status: 'failed', error }]).at(-1),
      framesOf(start, ['stream_end', { ...end, status: 'interrupted' }]).at(-1),
    ]).toMatchInlineSnapshot(`
      [
        "error {"type":"error","error":{"type":"rate_limit_error","message":"Slow down.","code":"model_rate_limited"}}",
        "error {"type":"error","error":{"type":"overloaded_error","message":"The server of the run ended before the run did.","code":"server_stopping"}}",
      ]
    `)
  })

  it('say that the stream has ended where the run cannot be read on', () => {
    expect(anthropicDialect.fail(new MillraceError('position_expired'))).toMatchInlineSnapshot(`
      [
        {
          "data": "{"type":"error","error":{"type":"invalid_request_error","message":"Events after this position are no longer kept; read the session and resume from its position.","code":"position_expired"}}",
          "event": "error",
        },
      ]
    `)
  })
})

it('whatever a run does, one block is open at a time, and none when it ends', () => {
  const call = fc.constantFrom('c', 'd')
  const event = fc.oneof(
    fc.tuple(fc.constant('message'), fc.record({ lane: fc.constantFrom('m', 'n'), text: fc.string() })),
    fc.tuple(fc.constant('reasoning'), fc.record({ lane: fc.constant('m'), reasoning: fc.string() })),
    fc.tuple(
      fc.constant('tool_call_start'),
      fc.record({ lane: fc.constant('m'), call, name: fc.constantFrom('look', 'server') }),
    ),
    fc.tuple(fc.constant('tool_call_delta'), fc.record({ lane: fc.constant('m'), call, arguments: fc.string() })),
    fc.tuple(
      fc.constant('tool_call'),
      fc.record({
        lane: fc.constant('m'),
        call,
        name: fc.constant('look'),
        arguments: fc.constant({}),
        by: fc.constantFrom('client', 'server'),
      }),
    ),
    fc.tuple(fc.constant('step_end'), fc.record({ lane: fc.constant('m'), step: fc.nat(), usage: fc.constant(usage) })),
  )
  const status = fc.constantFrom('completed', 'waiting', 'stopped', 'failed', 'interrupted')
  fc.assert(
    fc.property(fc.array(event), status, (middle, ended) => {
      const frames = framesOf(start, ...middle, ['stream_end', { ...end, status: ended }])
      let open: number | undefined
      let next = 0
      for (const [name, index] of frames.map((text) => [
        text.split(' ', 1)[0],
        JSON.parse(text.slice(text.indexOf(' '))).index,
      ])) {
        if (name === 'content_block_start') {
          expect([open, index]).toEqual([undefined, next])
          open = next++
        } else if (name?.startsWith('content_block')) expect(index).toBe(open)
        if (name === 'content_block_stop') open = undefined
      }
      expect(open).toBeUndefined()
      expect(frames.at(-1)).toMatch(ended === 'failed' || ended === 'interrupted' ? /^error / : /^message_stop /)
    }),
  )
})
