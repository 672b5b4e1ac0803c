import { expect, test } from 'vitest'
import { shortenName } from './short-name.ts'

test('a long name keeps its beginning and its end, and exactly the length allowed', () => {
  expect(shortenName('sim:count?n=200&tps=20', 16)).toBe('sim:coun…&tps=20')
  expect(shortenName('openai:gpt-5', 16)).toBe('openai:gpt-5')
  expect(shortenName('x'.repeat(300), 16)).toHaveLength(16)
})
