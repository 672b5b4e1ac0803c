/** What agents send is read, or rejected with an error that says why: whatever it is. */
import { MillraceError } from '@millrace/protocol'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readInput, runAgentInput } from './input.ts'

const maybe = <T>(value: fc.Arbitrary<T>) => fc.oneof({ weight: 30, arbitrary: value }, fc.jsonValue(), fc.constant(undefined))
const part = fc.record({
  type: maybe(fc.constantFrom('text', 'image')),
  text: maybe(fc.string()),
  source: maybe(
    fc.record({ type: maybe(fc.constantFrom('data', 'url')), value: maybe(fc.base64String()), mimeType: maybe(fc.string()) }),
  ),
})
const message = fc.record({
  role: maybe(fc.constantFrom('user', 'assistant', 'tool', 'system', 'developer', 'reasoning')),
  content: maybe(fc.oneof(fc.string(), fc.array(maybe(part)))),
  toolCallId: maybe(fc.string()),
  error: maybe(fc.string()),
})
const input = fc.record({
  threadId: maybe(fc.string()),
  runId: maybe(fc.string()),
  messages: maybe(fc.array(maybe(message))),
  tools: maybe(
    fc.array(maybe(fc.record({ name: maybe(fc.string()), description: maybe(fc.string()), parameters: fc.jsonValue() }))),
  ),
  context: maybe(fc.array(maybe(fc.record({ description: maybe(fc.string()), value: maybe(fc.string()) })))),
  forwardedProps: maybe(fc.record({ model: maybe(fc.string()), models: maybe(fc.array(fc.string())), params: fc.jsonValue() })),
  resume: maybe(
    fc.array(
      maybe(
        fc.record({
          interruptId: maybe(fc.string()),
          status: maybe(fc.constantFrom('resolved', 'cancelled')),
          payload: fc.jsonValue(),
        }),
      ),
    ),
  ),
})

it('is read, or rejected', () => {
  fc.assert(
    fc.property(maybe(input), (given) => {
      const { data } = runAgentInput.safeParse(given)
      if (data === undefined) return
      try {
        const wanted = readInput(data)
        if ('answers' in wanted) expect(wanted.answers.length).toBeGreaterThan(0)
        else expect([wanted.messages.length > 0, wanted.ask.session.length <= 64]).toEqual([true, true])
      } catch (error) {
        expect(error).toBeInstanceOf(MillraceError)
      }
    }),
    { numRuns: 500 },
  )
})

it('has no more answers than a step has calls', () => {
  const resume = Array.from({ length: 201 }, () => ({ interruptId: 'i', status: 'resolved' as const }))
  const given = runAgentInput.parse({ threadId: 't', runId: 'r', messages: [], resume })
  expect(() => readInput(given)).toThrow('At most 200')
})
