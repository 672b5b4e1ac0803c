/** The types of settings: what each accepts in a configuration file, and how it is written as text, in flags and variables. */
import { z } from 'zod'

export interface SettingType {
  /** For errors: `--port takes <expects>`. */
  readonly expects: string
  readonly schema: z.ZodType
  /** For the help of a flag; undefined for one that takes no value. */
  readonly placeholder?: string
  /** From text to a value that `schema` checks; undefined where only a file can set it. */
  readonly parse?: (text: string) => unknown
  /** May be given several times, each time with commas too. */
  readonly isList?: true
}

interface Bounds {
  readonly min?: number
  /** The value itself is rejected. */
  readonly above?: number
  readonly max: number
  readonly unit?: string
}

export function number({ min, above, max, unit = 'a number' }: Bounds): SettingType {
  const schema = z.number().max(max)
  const limits = above === undefined ? `from ${min ?? 0} to ${max}` : `more than ${above} and up to ${max}`
  return {
    expects: `${unit}${above === undefined ? ' ' : ', '}${limits}`,
    schema: above === undefined ? schema.min(min ?? 0) : schema.gt(above),
    placeholder: unit === 'a number' ? '<number>' : `<${unit}>`,
    parse: toNumber,
  }
}

export function integer(bounds: Bounds): SettingType {
  const type = number(bounds)
  return { ...type, schema: type.schema.and(z.int()) }
}

/** One line or several, and never empty: most often that is a variable of another name that is missing. */
export function text(what = 'text', placeholder = '<text>'): SettingType {
  return { expects: what, schema: z.string().refine((value) => value.trim() !== ''), placeholder, parse: (given) => given }
}

export function choice(...values: readonly [string, string, ...string[]]): SettingType {
  const expects = `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`
  return { expects, schema: z.enum(values), placeholder: `<${values.join('|')}>`, parse: (given) => given }
}

export function list(what: string, placeholder: string): SettingType {
  return { expects: what, schema: z.array(z.string()), placeholder, parse: splitList, isList: true }
}

const switches: Readonly<Record<string, boolean>> = { '1': true, true: true, on: true, '0': false, false: false, off: false }

export const onOff: SettingType = {
  expects: 'true or false, as 1 or 0',
  schema: z.boolean(),
  parse: (given) => switches[given.toLowerCase()] ?? given,
}

/** A function, for a file that is code. */
export const code: SettingType = { expects: 'a function', schema: z.custom((value) => typeof value === 'function') }

/** Nested values, in a file only. */
export function structure(expects: string, schema: z.ZodType): SettingType {
  return { expects, schema }
}

/** What is text in flags and variables, and in a file that is code also something else. */
export function either(type: SettingType, expects: string, accepts: (value: unknown) => boolean): SettingType {
  return { ...type, expects, schema: type.schema.or(z.custom(accepts)) }
}

function splitList(given: string): string[] {
  return given
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

/** `Number('')` is 0. */
function toNumber(given: string): unknown {
  return given.trim() === '' ? given : Number(given)
}

export const count = (max = 1_000_000): SettingType => integer({ min: 1, max })

export const milliseconds = (max = 2 ** 31 - 1): SettingType => integer({ min: 1, max, unit: 'milliseconds' })

export const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null
