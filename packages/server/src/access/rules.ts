/**
 * Rules of the operator: who may use the channels and the models whose names match a pattern. The longest pattern that
 * matches a name decides. A pattern is a name, or the beginning of names and `*`: nothing in it can take long to match.
 */
import { MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import { includes, isRole, matches } from './actions.ts'
import type { Principal } from './caller.ts'

/**
 * `anyone`, strangers included; `users`: everybody who is known, servers included; `servers`: those with an API key; `nobody` but
 * the host's own code; or those whose `may` has this role. `admin.*` passes every rule.
 */
export type Who = 'anyone' | 'users' | 'servers' | 'nobody' | `role:${string}`

export interface ChannelRule {
  /** Who reads; default `nobody`. */
  readonly read?: Who
  /** Who publishes; default `nobody`. */
  readonly publish?: Who
  /**
   * Which readers get what was published before they came; default all of them. Others begin with the next event, and can
   * resume after at most two minutes.
   */
  readonly history?: Who
}

/** By pattern, such as `room:*`. A channel that no pattern matches is for nobody. */
export type ChannelRules = Readonly<Record<string, ChannelRule>>

/** By pattern, such as `openai:*`; or a list of patterns, and of parts before the colon, for everybody who may ask at all. */
export type ModelRules = readonly string[] | Readonly<Record<string, Who>>

const who = z
  .string()
  .refine(
    (text): text is Who => ['anyone', 'users', 'servers', 'nobody'].includes(text) || isRole(text),
    'use anyone, users, servers, nobody or role:<name>',
  )
const channelPattern = /^[A-Za-z0-9_.:/-]{0,128}\*?$/
const modelPattern = /^[^\p{Cc}\p{Zl}\p{Zp}*]{0,256}\*?$/u
/** Strict: an option that does nothing would be taken for a protection. */
const channelRules = z.record(
  z.string().regex(channelPattern, 'not a channel, nor the beginning of channels and *'),
  z.strictObject({ read: who.optional(), publish: who.optional(), history: who.optional() }),
)
const modelName = z.string().regex(modelPattern, 'not a model, nor the beginning of models and *')
const modelRules = z.array(modelName).or(z.record(modelName, who))

export type ChannelUse = 'read' | 'publish' | 'history'

/** Whether a principal may use a channel. */
export type CheckChannel = (principal: Principal, use: ChannelUse, channel: string) => boolean

/** Whether a principal may use a model; undefined where no rule says it. */
export type CheckModel = (principal: Principal, model: string) => boolean | undefined

/** Undefined without rules: then every channel is for everybody. Throws for a rule that is not one. */
export function createChannelRules(rules: ChannelRules | undefined): CheckChannel | undefined {
  if (rules === undefined) return undefined
  const find = createFind(Object.entries(parse(channelRules, rules, 'channels')))
  return (principal, use, channel) => {
    const rule = find(channel)
    const wanted = rule?.[use] ?? (use === 'history' ? 'anyone' : 'nobody')
    return isOne(principal, rule === undefined ? 'nobody' : (wanted as Who))
  }
}

/** A list is for `listed`. Throws for a rule that is not one. */
export function createModelRules(rules: ModelRules, listed: Who): CheckModel {
  const parsed = parse(modelRules, rules, 'modelsByName')
  const entries = Array.isArray(parsed) ? parsed.map((name): [string, string] => [name, listed]) : Object.entries(parsed)
  // `sim` stands for the models of `sim:`, and for a model of that name.
  const find = createFind(
    entries.flatMap(([name, one]) => [[name, one] as const, ...(/[:*]/.test(name) ? [] : [[`${name}:*`, one] as const])]),
  )
  return (principal, model) => {
    const wanted = find(model)
    return wanted === undefined ? undefined : isOne(principal, wanted as Who)
  }
}

function createFind<T>(rules: readonly (readonly [pattern: string, rule: T])[]): (name: string) => T | undefined {
  // Of a name and the same name with `*` the name itself is longer than what the other one matches.
  const sorted = rules.toSorted(([one], [other]) => lengthOf(other) - lengthOf(one))
  return (name) => sorted.find(([pattern]) => matches(pattern, name))?.[1]
}

function lengthOf(pattern: string): number {
  return pattern.endsWith('*') ? pattern.length - 1 : pattern.length + 0.5
}

function isOne({ kind, may = [] }: Principal, wanted: Who): boolean {
  if (wanted === 'anyone' || may.includes('admin.*')) return true
  if (wanted === 'users') return kind === 'user' || kind === 'server'
  if (wanted === 'servers') return kind === 'server'
  return wanted !== 'nobody' && includes(may, wanted)
}

function parse<S extends z.ZodType>(schema: S, value: unknown, option: string): z.output<S> {
  const { data, error } = schema.safeParse(value)
  if (error !== undefined)
    throw new MillraceError('invalid_request', { message: `The option ${option} is invalid: ${z.prettifyError(error)}.` })
  return data as z.output<S>
}
