/** The usage of one day (UTC), folded from the events of its log. Pure. */
import type { Json } from '@millrace/protocol'
import { z } from 'zod'
import type { EventData, LogEvent, NewEvent } from '../log/log.ts'

export interface Tokens {
  readonly inputTokens: number
  readonly outputTokens: number
  /** The part of `outputTokens` spent on reasoning. */
  readonly reasoningTokens: number
  /** Absent where no model that was used has a price. */
  readonly cost?: number | undefined
}

export interface ModelUsage extends Tokens {
  readonly model: string
  /** Answers of the model, also those that ended early. */
  readonly lanes: number
  /** How many of these did not report their usage, so that it is estimated. */
  readonly estimatedLanes: number
}

export interface PrincipalUsage extends Tokens {
  readonly runs: number
  /** In the order in which they were first used. */
  readonly models: readonly ModelUsage[]
}

const amount = z.number()
const tokens = {
  inputTokens: amount,
  outputTokens: amount,
  reasoningTokens: amount.default(0),
  cost: amount.optional(),
}
const lane = z.object({ model: z.string(), ...tokens, isEstimated: z.boolean().default(false) })
const runEvent = z.object({ principal: z.string(), lanes: z.array(lane) })
const model = z.object({ model: z.string(), ...tokens, lanes: amount, estimatedLanes: amount })
const principal = z.object({ ...tokens, runs: amount, models: z.array(model) })
const totalsEvent = z.object({ isFirst: z.boolean(), principals: z.array(z.tuple([z.string(), principal])) })

export type RunUsage = z.input<typeof runEvent>

const nothing: Tokens = { inputTokens: 0, outputTokens: 0, reasoningTokens: 0 }
const nobody: PrincipalUsage = { ...nothing, runs: 0, models: [] }
const unused = { ...nothing, lanes: 0, estimatedLanes: 0 }
/** Of totals in one event, as JSON: far below its size limit. */
const charactersPerEvent = 256_000
/** Models of one principal, whose clients may name any of a pattern; further ones are counted together. */
const modelsMax = 100
const furtherModels = 'other'

export class UsageDay {
  readonly principals = new Map<string, PrincipalUsage>()
  /** Of all principals. */
  total: Tokens = nothing

  apply({ type, data }: Pick<LogEvent, 'type' | 'data'>): void {
    if (type === 'run') this.#applyRun(data)
    else if (type === 'totals') this.#applyTotals(data)
  }

  /** Events that stand for all before them. */
  toEvents(): NewEvent[] {
    const events: NewEvent[] = []
    let principals: [string, PrincipalUsage][] = []
    let characters = 0
    const flush = () => events.push({ type: 'totals', data: { isFirst: events.length === 0, principals } as unknown as Json })
    for (const each of this.principals) {
      const { length } = JSON.stringify(each)
      if (characters + length > charactersPerEvent && principals.length > 0) {
        flush()
        principals = []
        characters = 0
      }
      principals.push(each)
      characters += length
    }
    flush()
    return events
  }

  #applyRun(data: EventData): void {
    const { principal: id, lanes } = runEvent.parse(data)
    const before = this.principals.get(id) ?? nobody
    const models = new Map(before.models.map((used) => [used.model, used]))
    let sum: Tokens = nothing
    for (const each of lanes) {
      const name = models.has(each.model) || models.size < modelsMax ? each.model : furtherModels
      const known = models.get(name) ?? unused
      models.set(name, {
        model: name,
        ...add(known, each),
        lanes: known.lanes + 1,
        estimatedLanes: known.estimatedLanes + (each.isEstimated ? 1 : 0),
      })
      sum = add(sum, each)
    }
    this.principals.set(id, { ...add(before, sum), runs: before.runs + 1, models: [...models.values()] })
    this.total = add(this.total, sum)
  }

  #applyTotals(data: EventData): void {
    const { isFirst, principals } = totalsEvent.parse(data)
    if (isFirst) {
      this.principals.clear()
      this.total = nothing
    }
    for (const [id, used] of principals) {
      this.principals.set(id, used)
      this.total = add(this.total, used)
    }
  }
}

function add(one: Tokens, other: Tokens): Tokens {
  const cost = one.cost === undefined ? other.cost : one.cost + (other.cost ?? 0)
  return {
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    reasoningTokens: one.reasoningTokens + other.reasoningTokens,
    ...(cost !== undefined && { cost }),
  }
}
