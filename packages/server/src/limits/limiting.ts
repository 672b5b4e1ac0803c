/** Limits, budgets and the ledger of usage: the parts, made from the options. */
import { z } from 'zod'
import type { Engine } from '../log/log.ts'
import type { Observer } from '../operations/observer.ts'
import type { Charge } from '../runs/charge.ts'
import { createBudget } from './budget.ts'
import { createLimits, type Limits } from './limits.ts'
import type { LimitSettings } from './options.ts'
import { type Prices, pricesSchema } from './prices.ts'
import { createUsageLedger, type UsageReader } from './usage.ts'

export interface UsageOptions {
  /**
   * What a million tokens cost, by the name of the model or the beginning of names and `*`, in one currency; default
   * nothing. What was used before a price changes keeps its cost.
   */
  readonly prices?: Prices | undefined
}

export interface UsageSettings {
  readonly isOn: boolean
  readonly prices: Prices
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
}

/** Throws for prices that are none. */
export function resolveUsage(given: boolean | UsageOptions | undefined, isOn: boolean, limits: LimitSettings): UsageSettings {
  const { prices = {} } = typeof given === 'object' ? given : {}
  const { error } = pricesSchema.safeParse(prices)
  if (error !== undefined) throw new TypeError(`usage.prices is invalid: ${z.prettifyError(error)}`)
  const { tokensPerDay, costPerDay, allTokensPerDay, allCostPerDay } = limits
  const hasBudget = [tokensPerDay, costPerDay, allTokensPerDay, allCostPerDay].some(Number.isFinite)
  if (given === false && hasBudget) throw new TypeError('A limit of a day needs the usage of the day; leave out `usage: false`.')
  return { isOn: given !== false && (given !== undefined || isOn || hasBudget), prices }
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
  return { limits, usage: { read: ledger.read }, charge: usage.isOn ? ledger.charge : undefined }
}
