import fc from 'fast-check'
import { expect, it } from 'vitest'
import { continuation, readContinuation, withoutSaid } from './continuation.ts'
import type { ModelMessage, ModelPart } from './model.ts'

const resumed = (question: string, said: string): ModelMessage[] => [{ role: 'user', text: question }, ...continuation(said)]

it('ends with a message of the user, the partial answer before it, and is read back as what it was', () => {
  const before = { role: 'user', text: 'earlier' } as const
  const messages = [before, ...resumed('count', '1 2 ')]
  expect(messages.map(({ role }) => role)).toEqual(['user', 'user', 'assistant', 'user'])
  expect(readContinuation(messages)).toEqual({ question: 'count', said: '1 2 ' })
})

it('is the question alone where nothing had been said, and a question is none', () => {
  expect(continuation('')).toEqual([])
  expect(readContinuation(resumed('count', ''))).toEqual({ question: 'count', said: '' })
  // Somebody quotes the request in a question of their own.
  const quoted = continuation('1 ').slice(-1)
  expect(readContinuation(quoted)).toMatchObject({ said: '' })
})

it('leaves of an answer said again exactly what is missing, wherever it was cut', () => {
  const parts = fc.array(fc.oneof(fc.string({ minLength: 1, maxLength: 4 }), fc.record({ text: fc.string({ maxLength: 3 }) })))
  fc.assert(
    fc.property(parts, fc.nat(), (answer, cut) => {
      const whole = textOf(answer)
      const said = whole.slice(0, cut % (whole.length + 1))
      expect(said + textOf([...withoutSaid(answer, said)])).toBe(whole)
    }),
  )
})

it('does not think again, and gives another answer whole where the first is not how it begins', () => {
  expect([...withoutSaid([{ reasoning: 'hm' }, '1 ', '2 '], '1 ')]).toEqual(['2 '])
  expect([...withoutSaid(['one ', 'two '], '1 ')]).toEqual(['one ', 'two '])
})

function textOf(parts: readonly ModelPart[]): string {
  return parts.map((part) => (typeof part === 'string' ? part : (part as { text: string }).text)).join('')
}
