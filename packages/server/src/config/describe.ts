/** A setting's effective value as data that may be shown: without secrets, and without what is not data. */
import type { Json } from '@millrace/protocol'
import type { EffectiveSetting, SettingSource } from './resolve.ts'
import type { Setting } from './setting.ts'

export interface DescribedSetting {
  readonly key: string
  /** Undefined where nothing is set, and there is no default. */
  readonly value: Json | undefined
  readonly source: SettingSource
  /** The flag, the variable or the file; undefined for a default. */
  readonly from: string | undefined
}

export function describeSetting({ setting, value, source, from }: EffectiveSetting): DescribedSetting {
  return { key: setting.key, value: describeValue(setting, value), source, from }
}

export function describeValue({ isSecret }: Pick<Setting, 'isSecret'>, value: unknown): Json | undefined {
  if (value === undefined) return undefined
  return isSecret ? '(secret)' : describe(value)
}

function describe(value: unknown): Json {
  if (typeof value === 'function') return '(function)'
  if (typeof value === 'string') return hidePassword(value)
  if (Array.isArray(value)) return value.map(describe)
  if (typeof value !== 'object' || value === null) return value as Json
  // What a class or a function made, such as an engine, is not configuration.
  const prototype: unknown = Object.getPrototypeOf(value)
  const isPlain = prototype === Object.prototype && !Object.values(value).some((member) => typeof member === 'function')
  return isPlain ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, describe(member)])) : '(object)'
}

/** Of an address such as `redis://user:password@host`. */
function hidePassword(text: string): string {
  return text.replaceAll(/(\b[a-z][a-z+.-]*:\/\/[^\s/@:]*):[^\s/@]+@/gi, '$1:(secret)@')
}
