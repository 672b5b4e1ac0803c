import { expect, test } from 'vitest'
import { hidePrivate, markPrivate } from './private-text.ts'

test('an error does not repeat a question, whole, by its lines, or as JSON', () => {
  const error = new Error('bad')
  markPrivate(error, 'my "secret" plan\nfor tomorrow')
  expect(hidePrivate(error, 'cannot parse: my "secret" plan\nfor tomorrow')).toBe('cannot parse: [private]')
  expect(hidePrivate(error, 'line 2: for tomorrow')).toBe('line 2: [private]')
  expect(hidePrivate(error, String.raw`{"content":"my \"secret\" plan\nfor tomorrow"}`)).toBe('{"content":"[private]"}')
})

test('another error, and one that has none, keep their text', () => {
  expect(hidePrivate(new Error('bad'), 'text')).toBe('text')
  markPrivate('thrown', 'something private')
  expect(hidePrivate('thrown', 'something private')).toBe('something private')
})
