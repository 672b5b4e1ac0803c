import { expect, it } from 'vitest'
import { costOf } from './prices.ts'

const prices = {
  'openai:*': { input: 1, output: 10 },
  'openai:gpt-6*': { input: 2, output: 20, reasoning: 5 },
  'openai:gpt-6-luna': { input: 3, output: 30 },
}
const usage = { inputTokens: 1_000_000, outputTokens: 2_000_000, totalTokens: 3_000_000, reasoningTokens: 1_000_000 }

it.each([
  ['openai:old', 21],
  ['openai:gpt-6-sol', 27],
  ['openai:gpt-6-luna', 63],
  ['builtin:guide', undefined],
])('the longest pattern that fits %s decides', (model, cost) => {
  expect(costOf(model, usage, prices)).toBe(cost)
})
