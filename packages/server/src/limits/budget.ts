/** Budgets: when the tokens or costs of a day are used up, no more runs are started until midnight UTC. */
import { MillraceError } from '@millrace/protocol'
import type { LimitName, LimitSettings } from './options.ts'
import { dayMs, type UsageLedger } from './usage.ts'
import type { Tokens } from './usage-day.ts'

export interface DayLimits {
  readonly tokensPerDay: number
  readonly costPerDay: number
}

export interface Exhausted {
  readonly limit: LimitName
  readonly error: MillraceError
}

/** The budget that a principal has used up; undefined where there is none. Undefined at once where nothing is limited. */
export type FindExhausted = (principal: string, limits: DayLimits) => Promise<Exhausted | undefined> | undefined

export interface BudgetOptions {
  readonly usage: Pick<UsageLedger, 'today'>
  readonly all: Pick<LimitSettings, 'allTokensPerDay' | 'allCostPerDay'>
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export function createBudget({ usage, all, now = Date.now }: BudgetOptions): FindExhausted {
  return (principal, { tokensPerDay, costPerDay }) => {
    const { allTokensPerDay, allCostPerDay } = all
    const maxima = { tokensPerDay, costPerDay, allTokensPerDay, allCostPerDay }
    if (Object.values(maxima).every((max) => max === Number.POSITIVE_INFINITY)) return undefined
    return find(principal, maxima)
  }

  async function find(principal: string, maxima: DayLimits & BudgetOptions['all']): Promise<Exhausted | undefined> {
    const day = await usage.today()
    const own = day.principals.get(principal)
    const used: readonly (readonly [keyof typeof maxima, number, string])[] = [
      ['tokensPerDay', tokensOf(own), 'Your tokens are'],
      ['costPerDay', own?.cost ?? 0, 'Your budget is'],
      ['allTokensPerDay', tokensOf(day.total), 'The tokens of this server are'],
      ['allCostPerDay', day.total.cost ?? 0, 'The budget of this server is'],
    ]
    const found = used.find(([limit, amount]) => amount >= maxima[limit])
    if (found === undefined) return undefined
    const [limit, , what] = found
    const retryAfter = Math.ceil((dayMs - (now() % dayMs)) / 1000)
    const message = `${what} used up for today; ask again after midnight UTC.`
    return { limit, error: new MillraceError('budget_exhausted', { message, retryAfter }) }
  }
}

function tokensOf({ inputTokens, outputTokens }: Tokens = { inputTokens: 0, outputTokens: 0, reasoningTokens: 0 }): number {
  return inputTokens + outputTokens
}
