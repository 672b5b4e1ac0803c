/** The frames of AG-UI, byte for byte, and the rule that what was begun ends before its run does. */
import { MillraceError } from '@millrace/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogEvent } from '../../log/log.ts'
import type { RunEvent } from '../run-dialect.ts'
import { createAgUiDialect } from './rendering.ts'

const usage = { inputTokens: 2, outputTokens: 3, totalTokens: 5 }
const timings = { firstTokenMs: 4, durationMs: 10 }
const end = { status: 'completed', usage, timings }

/** Events of one run, in order; deltas and ends name their run as in the log. */
function logged(...events: readonly (readonly [string, object | Uint8Array])[]): LogEvent[] {
  return events.map(([type, data], index) => {
    const named = data instanceof Uint8Array ? data : { run: 'r', ...data }
    return { type, data: named as never, offset: index + 1, time: 1000 + index }
  })
}

function framesOf(client: 'ag-ui' | 'tanstack', events: readonly LogEvent[], parentRun?: string): string[] {
  const renderer = createAgUiDialect({ run: 'r', parentRun, epoch: 'e1', client }).begin()
  return events
    .flatMap((event) => renderer.render(event as unknown as RunEvent))
    .map(({ event, data }) => `${event ?? ''}${data}`)
}

const start = ['stream_start', { session: 's', query: 'q', lanes: [{ lane: 'm', model: 'm' }] }] as const
const [m, two] = [{ lane: 'm' }, { lane: 'm', part: 2 }]

describe('the frames of AG-UI', () => {
  it('bracket reasoning, text and calls of tools', () => {
    const events = logged(
      start,
      ['reasoning', { ...m, reasoning: 'hm' }],
      ['message', { ...m, part: 1, text: '你' }],
      ['message', { ...m, part: 1, text: '\n好' }],
      ['tool_call_start', { ...m, call: 'c', name: 'weather' }],
      ['tool_call_delta', { ...m, call: 'c', arguments: '{"a":' }],
      ['tool_call_delta', { ...m, call: 'c', arguments: '1}' }],
      ['tool_call', { ...m, call: 'c', name: 'weather', arguments: { a: 1 }, by: 'server' }],
      ['tool_result', { ...m, call: 'c', value: { b: 0 }, preliminary: true }],
      ['tool_result', { ...m, call: 'c', value: { b: 2 } }],
      ['step_end', { ...m, step: 0, usage }],
      ['data', { ...m, name: 'chart', value: [1] }],
      ['source', { ...m, source: 'x', url: 'https://example.com' }],
      ['file', { ...m, mediaType: 'image/png', size: 1 }],
      ['file_data', new Uint8Array(1)],
      ['message', { ...two, part: 9, text: '.' }],
      ['stream_end', { ...end, finishReason: 'stop', cost: { amount: 0.1, currency: 'EUR' } }],
    )
    expect(framesOf('ag-ui', events)).toMatchInlineSnapshot(`
      [
        "{"type":"RUN_STARTED","threadId":"s","runId":"r","protocolVersion":"1.0","timestamp":1000}",
        "{"type":"REASONING_START","messageId":"r-0"}",
        "{"type":"REASONING_MESSAGE_START","messageId":"r-0","role":"reasoning"}",
        "{"type":"REASONING_MESSAGE_CONTENT","messageId":"r-0","delta":"hm"}",
        "{"type":"REASONING_MESSAGE_END","messageId":"r-0"}",
        "{"type":"REASONING_END","messageId":"r-0"}",
        "{"type":"TEXT_MESSAGE_START","messageId":"r-1","role":"assistant"}",
        "{"type":"TEXT_MESSAGE_CONTENT","messageId":"r-1","delta":"你"}",
        "{"type":"TEXT_MESSAGE_CONTENT","messageId":"r-1","delta":"\\n好"}",
        "{"type":"TEXT_MESSAGE_END","messageId":"r-1"}",
        "{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"weather","parentMessageId":"r-1"}",
        "{"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"{\\"a\\":"}",
        "{"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"1}"}",
        "{"type":"TOOL_CALL_END","toolCallId":"c"}",
        "{"type":"CUSTOM","name":"millrace.tool_result","value":{"toolCallId":"c","value":{"b":0}}}",
        "{"type":"TOOL_CALL_RESULT","messageId":"r-result-c","toolCallId":"c","content":"{\\"b\\":2}","role":"tool"}",
        "{"type":"CUSTOM","name":"chart","value":[1]}",
        "{"type":"CUSTOM","name":"millrace.source","value":{"source":"x","url":"https://example.com"}}",
        "{"type":"CUSTOM","name":"millrace.file","value":{"mediaType":"image/png","size":1,"url":"/api/files/s/e1-14"}}",
        "{"type":"TEXT_MESSAGE_START","messageId":"r-9","role":"assistant"}",
        "{"type":"TEXT_MESSAGE_CONTENT","messageId":"r-9","delta":"."}",
        "{"type":"TEXT_MESSAGE_END","messageId":"r-9"}",
        "{"type":"RUN_FINISHED","threadId":"s","runId":"r","outcome":{"type":"success"},"usage":[{"model":"m","inputTokens":2,"outputTokens":3,"totalTokens":5}],"metadata":{"millrace":{"status":"completed","finishReason":"stop","timings":{"firstTokenMs":4,"durationMs":10},"cost":{"amount":0.1,"currency":"EUR"}}},"timestamp":1016}",
      ]
    `)
  })

  it('name the lanes as subagents, and end those that have no end', () => {
    const lanes = [
      { lane: 'a', model: 'x' },
      { lane: 'b', model: 'y' },
    ]
    const events = logged(
      ['stream_start', { session: 's', query: 'q', lanes, continues: 'r0' }],
      ['message', { lane: 'a', text: 'A' }],
      ['message', { lane: 'b', text: 'B' }],
      ['lane_end', { lane: 'a', ...end, model: 'x' }],
      ['stream_end', { ...end, status: 'interrupted' }],
    )
    expect(framesOf('ag-ui', events)).toMatchInlineSnapshot(`
      [
        "{"type":"RUN_STARTED","threadId":"s","runId":"r","protocolVersion":"1.0","parentRunId":"r0","timestamp":1000}",
        "{"type":"SUBAGENT_STARTED","subagentRunId":"r-0","name":"a"}",
        "{"type":"SUBAGENT_STARTED","subagentRunId":"r-1","name":"b"}",
        "{"type":"TEXT_MESSAGE_START","messageId":"r-0-0","role":"assistant","subagentRunId":"r-0"}",
        "{"type":"TEXT_MESSAGE_CONTENT","messageId":"r-0-0","delta":"A","subagentRunId":"r-0"}",
        "{"type":"TEXT_MESSAGE_START","messageId":"r-1-0","role":"assistant","subagentRunId":"r-1"}",
        "{"type":"TEXT_MESSAGE_CONTENT","messageId":"r-1-0","delta":"B","subagentRunId":"r-1"}",
        "{"type":"TEXT_MESSAGE_END","messageId":"r-0-0","subagentRunId":"r-0"}",
        "{"type":"SUBAGENT_FINISHED","outcome":{"type":"success"},"subagentRunId":"r-0","metadata":{"millrace":{"status":"completed","timings":{"firstTokenMs":4,"durationMs":10}}}}",
        "{"type":"TEXT_MESSAGE_END","messageId":"r-1-0","subagentRunId":"r-1"}",
        "{"type":"SUBAGENT_ERROR","message":"The server of the run ended before the run did; what it had said is kept.","code":"interrupted","subagentRunId":"r-1","metadata":{"millrace":{"status":"interrupted","timings":{"firstTokenMs":4,"durationMs":10}}}}",
        "{"type":"RUN_ERROR","message":"The server of the run ended before the run did; what it had said is kept.","code":"interrupted","usage":[{"model":"x","inputTokens":2,"outputTokens":3,"totalTokens":5},{"model":"y","inputTokens":2,"outputTokens":3,"totalTokens":5}],"metadata":{"millrace":{"status":"interrupted","timings":{"firstTokenMs":4,"durationMs":10}}},"timestamp":1004}",
      ]
    `)
  })

  it('have what TanStack AI knows ends and interrupts by', () => {
    const calls = logged(
      start,
      ['tool_call', { ...m, call: 'c', name: 'pay', arguments: { sum: 1 }, by: 'server' }],
      ['tool_call', { ...m, call: 'd', name: 'look', arguments: 'not JSON', by: 'client' }],
      ['approval_request', { ...m, call: 'c', approval: 'p', expiresAt: 0 }],
      ['stream_end', { ...end, status: 'waiting', finishReason: 'tool_calls' }],
    )
    expect(framesOf('tanstack', calls, 'r0')).toMatchInlineSnapshot(`
      [
        "{"type":"RUN_STARTED","threadId":"s","runId":"r","protocolVersion":"1.0","parentRunId":"r0","timestamp":1000}",
        "{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"pay","parentMessageId":"r-step-0"}",
        "{"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"{\\"sum\\":1}"}",
        "{"type":"TOOL_CALL_END","toolCallId":"c"}",
        "{"type":"TOOL_CALL_START","toolCallId":"d","toolCallName":"look","parentMessageId":"r-step-0"}",
        "{"type":"TOOL_CALL_ARGS","toolCallId":"d","delta":"not JSON"}",
        "{"type":"TOOL_CALL_END","toolCallId":"d"}",
        "{"type":"RUN_FINISHED","threadId":"s","runId":"r","outcome":{"type":"interrupt","interrupts":[{"id":"p","reason":"tool_call","message":"pay waits for approval.","toolCallId":"c","responseSchema":{"type":"object","properties":{"approved":{"type":"boolean"},"editedArgs":{"type":"object","description":"What the tool is called with instead"},"reason":{"type":"string","description":"Why the call is rejected, for the model"}},"required":["approved"]},"expiresAt":"1970-01-01T00:00:00.000Z","metadata":{"kind":"approval","toolName":"pay","input":{"sum":1}}},{"id":"d","reason":"client_tool_input","message":"The client executes look.","toolCallId":"d","metadata":{"kind":"client_tool","toolName":"look","input":"not JSON"}}]},"usage":[{"model":"m","inputTokens":2,"outputTokens":3,"totalTokens":5}],"metadata":{"millrace":{"status":"waiting","finishReason":"tool_calls","timings":{"firstTokenMs":4,"durationMs":10}},"tanstack":{"finishReason":"stop","model":"m"}},"timestamp":1004}",
      ]
    `)
  })

  it('have only the result of a call that the run repeats', () => {
    const calls = logged(
      start,
      ['tool_call', { ...m, call: 'c', name: 'pay', arguments: { sum: 1 }, by: 'server', isRepeated: true }],
      ['tool_result', { ...m, call: 'c', value: 'paid' }],
      ['stream_end', end],
    )
    expect(framesOf('ag-ui', calls).slice(1, -1)).toEqual([
      '{"type":"TOOL_CALL_RESULT","messageId":"r-result-c","toolCallId":"c","content":"paid","role":"tool"}',
    ])
  })

  it('say that the stream has ended where the run cannot be read on', () => {
    const dialect = createAgUiDialect({ run: 'r', epoch: 'e1', client: 'ag-ui' })
    expect(dialect.fail(new MillraceError('position_expired'))).toMatchInlineSnapshot(`
      [
        {
          "data": "{"type":"RUN_ERROR","message":"Events after this position are no longer kept; read the session and resume from its position.","code":"position_expired"}",
        },
      ]
    `)
  })
})

describe('whatever a run does', () => {
  const lane = fc.constantFrom('a', 'b')
  const ofCall = fc.constantFrom({ lane: 'a', call: 'c' }, { lane: 'b', call: 'd' })
  const withCall = <T extends object>(fields: fc.Arbitrary<T>) =>
    fc.tuple(ofCall, fields).map(([of, rest]) => ({ ...of, ...rest }))
  const event = fc.oneof(
    fc.tuple(fc.constant('message'), fc.record({ lane, text: fc.string() })),
    fc.tuple(fc.constant('reasoning'), fc.record({ lane, reasoning: fc.string() })),
    fc.tuple(fc.constant('tool_call_start'), withCall(fc.record({ name: fc.constant('t') }))),
    fc.tuple(fc.constant('tool_call_delta'), withCall(fc.record({ arguments: fc.string() }))),
    fc.tuple(
      fc.constant('tool_call'),
      withCall(fc.record({ name: fc.constant('t'), arguments: fc.constant({}), by: fc.constantFrom('server', 'client') })),
    ),
    fc.tuple(fc.constant('tool_result'), withCall(fc.record({ value: fc.jsonValue() }))),
    fc.tuple(fc.constant('step_end'), fc.record({ lane, step: fc.nat(), usage: fc.constant(usage) })),
  )
  /** A call begins once and is whole once. */
  const isPossible = ([type, data]: readonly [string, object], index: number, all: readonly (readonly [string, object])[]) => {
    const callOf = (of: object) => (of as { call?: string }).call
    const isBefore = (kind: string) => all.slice(0, index).some(([other, of]) => other === kind && callOf(of) === callOf(data))
    return !((type === 'tool_call' || type === 'tool_call_start') && (isBefore('tool_call') || isBefore(type)))
  }
  const withPart = ([type, data]: readonly [string, object], index: number) => [type, { ...data, part: index }] as const
  const statuses = ['completed', 'waiting', 'stopped', 'failed', 'interrupted'] as const

  it('each bracket is open when its content comes, and closed before the run ends', () => {
    fc.assert(
      fc.property(fc.array(event), fc.constantFrom(...statuses), (middle, status) => {
        const lanes = ['a', 'b'].map((name) => ({ lane: name, model: name }))
        const all = [
          ['stream_start', { session: 's', query: 'q', lanes }],
          ...middle.filter(isPossible).map(withPart),
          ['stream_end', { ...end, status }],
        ] as const
        const open = new Set<string>()
        const frames = framesOf('ag-ui', logged(...all)).map((data) => JSON.parse(data) as Record<string, string>)
        for (const { type = '', ...of } of frames.slice(1, -1)) {
          const [, kind, step] = /^(.+)_(START(?:ED)?|CONTENT|ARGS|END|FINISHED|ERROR)$/.exec(type) ?? []
          if (kind === undefined) continue
          const key = `${kind} ${kind === 'SUBAGENT' ? of.subagentRunId : (of.messageId ?? of.toolCallId)}`
          if (step?.startsWith('START')) {
            expect(open.has(key)).toBe(false)
            open.add(key)
          } else expect([...open]).toContain(key)
          if (step === 'END' || step === 'FINISHED' || step === 'ERROR') open.delete(key)
        }
        expect([...open]).toEqual([])
        expect(frames.at(-1)?.type).toBe(status === 'failed' || status === 'interrupted' ? 'RUN_ERROR' : 'RUN_FINISHED')
      }),
    )
  })
})
