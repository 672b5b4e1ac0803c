/** What several lanes, or a run and those that continue it, cost together. */
import type { Cost } from './events.ts'

/** All costs of a server are in one currency. Without the last digits, in which a sum of fractions is wrong. */
export function addCosts(a: Cost | undefined, b: Cost | undefined): Cost | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return { ...b, amount: Number((a.amount + b.amount).toPrecision(12)) }
}
