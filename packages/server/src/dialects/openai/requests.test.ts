/** Whatever a client sends is a question, or an error that says what is wrong with it; and what is right arrives as it was meant. */
import { limits, MillraceError } from '@millrace/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toChatRequest } from './chat/request.ts'
import type { Item } from './responses/input.ts'
import { noPrevious } from './responses/previous.ts'
import { toResponseRequest } from './responses/request.ts'

const chat = {
  model: 'm',
  messages: [
    { role: 'system', content: 'Be short.' },
    { role: 'user', content: [{ type: 'text', text: 'x' }] },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
    },
    { role: 'tool', tool_call_id: 'c', content: 'y' },
  ],
  tools: [{ type: 'function', function: { name: 'f', description: 'd', parameters: { type: 'object' } } }],
  stop: ['a'],
  n: 2,
  response_format: { type: 'json_object' },
  metadata: { a: 'b' },
}

const response = {
  model: 'm',
  input: [
    { role: 'user', content: [{ type: 'input_text', text: 'x' }] },
    { type: 'reasoning', id: 'r', summary: [] },
    { type: 'function_call', call_id: 'c', name: 'f', arguments: '{' },
    { type: 'function_call_output', call_id: 'c', output: [{ type: 'input_text', text: 'y' }] },
    { type: 'mcp_call', id: 'd', name: 'g', arguments: '{}', output: null, error: 'z' },
    { role: 'assistant', content: [{ type: 'output_text', text: 'w' }] },
    { role: 'user', content: 'v' },
  ],
  reasoning: { effort: 'low' },
  text: { format: { type: 'json_schema', name: 'n', schema: { type: 'object' } } },
  previous_response_id: 'resp_s.p',
}

const asChat = (body: unknown) => void toChatRequest(body)
const toInput = (body: unknown) => {
  const request = toResponseRequest(body)
  return request.toInput(request.given as readonly Item[], noPrevious)
}
const asResponse = (body: unknown) => void toInput(body)

/** A body with one value, at any place, replaced by another. */
function damaged(body: object) {
  const paths: (string | number)[][] = []
  const walk = (value: unknown, path: (string | number)[]) => {
    paths.push(path)
    if (typeof value !== 'object' || value === null) return
    for (const key of Object.keys(value)) walk((value as Record<string, unknown>)[key], [...path, key])
  }
  walk(body, [])
  return fc.tuple(fc.constantFrom(...paths), fc.jsonValue()).map(([path, value]) => {
    const copy = structuredClone({ body }) as Record<string, unknown>
    let at = copy
    const all = ['body', ...path]
    for (const key of all.slice(0, -1)) at = at[key] as Record<string, unknown>
    at[all.at(-1) as string] = value
    return copy.body
  })
}

describe.each([
  ['a chat completion', asChat, chat],
  ['a response', asResponse, response],
])('a request of %s', (_name, read, valid) => {
  it('is read, or rejected with a code, whatever it is', () => {
    expect(() => read(valid)).not.toThrow()
    const check = (body: unknown) => {
      try {
        read(body)
      } catch (error) {
        expect(error).toBeInstanceOf(MillraceError)
        expect((error as MillraceError).status).toBeLessThan(500)
      }
    }
    fc.assert(fc.property(fc.jsonValue(), check))
    fc.assert(fc.property(damaged(valid), check), { numRuns: 500 })
  })
})

it('a chat completion is asked as it was meant', () => {
  const { input } = toChatRequest({ ...chat, model: 'default', n: 1 })
  expect(input).toEqual({
    messages: [
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'x' },
      { role: 'assistant', content: [{ type: 'tool_call', id: 'c', name: 'f', arguments: { a: 1 } }] },
      { role: 'tool', content: [{ type: 'tool_result', call: 'c', value: 'y' }] },
    ],
    params: { stop: ['a'], responseFormat: { type: 'json' } },
    tools: [{ name: 'f', description: 'd', input: { type: 'object' } }],
    metadata: { a: 'b' },
  })
  expect(toChatRequest(chat).input.models).toEqual(['m', 'm'])
  expect(toChatRequest({ ...chat, n: null, models: ['a', 'b'] }).input.models).toEqual(['a', 'b'])
  expect(toChatRequest({ ...chat, tool_choice: 'none' }).input.tools).toBeUndefined()
})

it('a response is asked as it was meant: calls and texts that follow each other are one message', () => {
  expect(toResponseRequest(response).previous).toEqual({ session: 's', run: 'p' })
  expect(toInput(response).input).toMatchObject({
    messages: [
      { role: 'user', content: 'x' },
      { role: 'assistant', content: [{ type: 'tool_call', id: 'c', name: 'f', arguments: '{' }] },
      { role: 'tool', content: [{ type: 'tool_result', call: 'c', value: 'y' }] },
      { role: 'assistant', content: [{ type: 'tool_call', id: 'd', name: 'g', arguments: {} }] },
      { role: 'tool', content: [{ type: 'tool_result', call: 'd', value: 'z', isError: true }] },
      { role: 'assistant', content: 'w' },
      { role: 'user', content: 'v' },
    ],
    params: { reasoningEffort: 'low', responseFormat: { type: 'json_schema', name: 'n' } },
    models: ['m'],
    session: 's',
    parent: 'p',
  })
})

it('a call of the server may have an id that is longer than that of a call may be', () => {
  const call = { type: 'mcp_call', id: `mcp_${'x'.repeat(64)}.${'y'.repeat(64)}.0.1`, name: 'g', arguments: '{}', output: 'z' }
  const [called, result] = toInput({ input: [call, { role: 'user', content: 'x' }] }).input.messages ?? []
  const id = expect.stringMatching(/^.{1,128}$/)
  expect([called, result]).toMatchObject([
    { content: [{ type: 'tool_call', id }] },
    { content: [{ type: 'tool_result', call: id }] },
  ])
})

it('an empty or half answer in the history is left out or goes on as it is', () => {
  const user = { role: 'user', content: 'x' }
  const { input } = toChatRequest({ messages: [user, { role: 'assistant', content: '' }, user] })
  expect(input.messages).toEqual([
    { role: 'user', content: 'x' },
    { role: 'user', content: 'x' },
  ])
})

it('an empty message of the system, as clients send it without instructions, is left out', () => {
  const [system, developer, user] = ['system', 'developer', 'user'].map((role) => ({ role, content: role === 'user' ? 'x' : '' }))
  const asked = [{ role: 'user', content: 'x' }]
  expect(toChatRequest({ messages: [system, developer, user] }).input.messages).toEqual(asked)
  expect(toInput({ input: [system, developer, user] }).messages).toEqual(asked)
})

it('more choices than there can be lanes are rejected', () => {
  expect(() => toChatRequest({ ...chat, models: Array.from({ length: limits.lanesMax }, () => 'm'), n: 2 })).toThrow(/`n` makes/)
})
