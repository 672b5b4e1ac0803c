/** Limits, budgets and the ledger of usage: the parts, made from the options. */
import { z } from 'zod'
import type { Engine } from '../log/log.ts'
import type { Observer } from '../operations/observer.ts'
import type { Charge, Quote } from '../runs/charge.ts'
import { createBudget } from './budget.ts'
import { createLimits, type Limits } from './limits.ts'
import type { LimitSettings } from './options.ts'
import { costOf, type Prices, pricesSchema } from './prices.ts'
import { createUsageLedger, type UsageReader } from './usage.ts'

export interface UsageOptions {
  /**
   * What a million tokens cost, by the name of the model or the beginning of names and `*`, in one currency; default
   * nothing. What was used before a price changes keeps its cost.
   */
  readonly prices?: Prices | undefined
  /** ISO 4217 code of the prices, such as `USD`. With it the end of each answer has its cost, for all its readers; default without. */
  readonly currency?: string | undefined
}

export interface UsageSettings {
  readonly isOn: boolean
  readonly prices: Prices
  readonly currency: string | undefined
}

export interface LimitingOptions {
  readonly limits: LimitSettings
  readonly usage: UsageSettings
  readonly access: { readonly isOpen: boolean }
  readonly engine: Engine
  readonly signal: AbortSignal
  readonly observer: Observer
  readonly onError: (error: unknown) => void
}

export interface Limiting {
  readonly limits: Limits
  readonly usage: UsageReader
  /** Undefined where no usage is recorded. */
  readonly charge: Charge | undefined
  /** Undefined where ends have no cost. */
  readonly quote: Quote | undefined
}

/** Throws for prices that are none. */
export function resolveUsage(given: boolean | UsageOptions | undefined, isOn: boolean, limits: LimitSettings): UsageSettings {
  const { prices = {}, currency } = typeof given === 'object' ? given : {}
  const { error } = pricesSchema.safeParse(prices)
  if (error !== undefined) throw new TypeError(`usage.prices is invalid: ${z.prettifyError(error)}`)
  if (currency !== undefined && !/^[A-Z]{3}$/.test(currency))
    throw new TypeError(`usage.currency is ${JSON.stringify(currency)}; it must be an ISO 4217 code such as USD.`)
  const { tokensPerDay, costPerDay, allTokensPerDay, allCostPerDay } = limits
  const hasBudget = [tokensPerDay, costPerDay, allTokensPerDay, allCostPerDay].some(Number.isFinite)
  if (given === false && hasBudget) throw new TypeError('A limit of a day needs the usage of the day; leave out `usage: false`.')
  return { isOn: given !== false && (given !== undefined || isOn || hasBudget), prices, currency }
}

export function createLimiting({
  limits: settings,
  usage,
  access,
  engine,
  signal,
  observer,
  onError,
}: LimitingOptions): Limiting {
  const ledger = createUsageLedger({ engine, prices: usage.prices, signal, onError })
  const findExhausted = usage.isOn ? createBudget({ usage: ledger, all: settings }) : undefined
  const limits = createLimits({ settings, isOpen: access.isOpen, counters: engine.counters, findExhausted, observer })
  return { limits, usage: { read: ledger.read }, charge: usage.isOn ? ledger.charge : undefined, quote: createQuote(usage) }
}

function createQuote({ prices, currency }: UsageSettings): Quote | undefined {
  if (currency === undefined) return undefined
  return (model, usage) => {
    const amount = costOf(model, usage, prices)
    return amount === undefined ? undefined : { amount, currency }
  }
}
