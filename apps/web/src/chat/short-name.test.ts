import { expect, test } from 'vitest'
import { shortenName } from './short-name.ts'

test('a long name loses its provider, then its middle, and has exactly the length allowed', () => {
  expect(shortenName('anthropic:claude-sonnet-4-5', 20)).toBe('claude-sonnet-4-5')
  expect(shortenName('sim:count?n=200&tps=20', 16)).toBe('count?n=…&tps=20')
  expect(shortenName('openai:gpt-5', 16)).toBe('openai:gpt-5')
  expect(shortenName('x'.repeat(300), 16)).toHaveLength(16)
})
