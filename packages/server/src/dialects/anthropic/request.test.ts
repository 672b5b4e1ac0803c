/** What clients of Anthropic's API send is read, or rejected with an error that says why: whatever it is. */
import { MillraceError } from '@millrace/protocol'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { checkMessages } from '../shared/asked-files.ts'
import { messagesBody, toAsk } from './request.ts'

const maybe = <T>(value: fc.Arbitrary<T>) => fc.oneof({ weight: 30, arbitrary: value }, fc.jsonValue(), fc.constant(undefined))
const block = fc.record({
  type: maybe(fc.constantFrom('text', 'image', 'document', 'tool_use', 'tool_result', 'thinking')),
  text: maybe(fc.string()),
  id: maybe(fc.string()),
  name: maybe(fc.string()),
  input: fc.jsonValue(),
  tool_use_id: maybe(fc.string()),
  content: maybe(fc.oneof(fc.string(), fc.array(fc.jsonValue()))),
  is_error: maybe(fc.boolean()),
  source: maybe(
    fc.record({
      type: maybe(fc.constantFrom('base64', 'text', 'url')),
      media_type: maybe(fc.string()),
      data: maybe(fc.string()),
    }),
  ),
})
const body = fc.record({
  model: maybe(fc.string()),
  max_tokens: maybe(fc.nat()),
  messages: maybe(
    fc.array(
      maybe(
        fc.record({
          role: maybe(fc.constantFrom('user', 'assistant')),
          content: maybe(fc.oneof(fc.string(), fc.array(maybe(block)))),
        }),
      ),
    ),
  ),
  system: maybe(fc.oneof(fc.string(), fc.array(maybe(block)))),
  temperature: maybe(fc.double()),
  stop_sequences: maybe(fc.array(fc.string())),
  tools: maybe(fc.array(maybe(fc.record({ name: maybe(fc.string()), input_schema: fc.jsonValue() })))),
  tool_choice: maybe(fc.record({ type: maybe(fc.constantFrom('auto', 'none', 'any', 'tool')), name: maybe(fc.string()) })),
  output_config: maybe(
    fc.record({
      effort: maybe(fc.constant('low')),
      format: maybe(fc.record({ type: fc.constant('json_schema'), schema: fc.jsonValue() })),
    }),
  ),
})

it('is read, or rejected', () => {
  fc.assert(
    fc.property(maybe(body), (given) => {
      const { data } = messagesBody.safeParse(given)
      if (data === undefined) return
      try {
        const { ask, messages } = toAsk(data)
        expect(ask.params?.maxOutputTokens).toBe(data.max_tokens)
        if (!JSON.stringify(messages).includes('"bytes"')) checkMessages(messages)
      } catch (error) {
        expect(error).toBeInstanceOf(MillraceError)
      }
    }),
    { numRuns: 500 },
  )
})
