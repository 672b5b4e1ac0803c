/** What tokens cost, for the ledger of usage. */
import type { Usage } from '@millrace/protocol'
import { z } from 'zod'
import { matches } from '../access/actions.ts'

/** For a million tokens, in one currency for all models. */
export interface Price {
  /** Of the tokens that a model gets. */
  readonly input: number
  /** Of the tokens that it generates. */
  readonly output: number
  /** Of the output tokens that are spent on reasoning; default that of the others. */
  readonly reasoning?: number | undefined
}

/** By the name of a model, or the beginning of names and `*`. The longest that fits decides. */
export type Prices = Readonly<Record<string, Price>>

const amount = z.number().min(0)
export const pricesSchema = z.record(
  z.string().min(1),
  z.strictObject({ input: amount, output: amount, reasoning: amount.optional() }),
)

/** Undefined for a model without a price. */
export function costOf(
  model: string,
  { inputTokens, outputTokens, reasoningTokens = 0 }: Usage,
  prices: Prices,
): number | undefined {
  const patterns = Object.keys(prices).filter((pattern) => matches(pattern, model))
  const pattern = patterns.includes(model) ? model : patterns.toSorted((one, other) => other.length - one.length)[0]
  const price = pattern === undefined ? undefined : prices[pattern]
  if (price === undefined) return undefined
  const { input, output, reasoning = output } = price
  const spoken = Math.max(0, outputTokens - reasoningTokens)
  return (inputTokens * input + spoken * output + reasoningTokens * reasoning) / 1_000_000
}
