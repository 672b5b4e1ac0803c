/** Reads the text of a flag or a variable. */
import { ConfigError } from './config-error.ts'
import type { SettingType } from './setting-types.ts'

/** Throws a ConfigError that names what was given and what to give; of a secret without the text. */
export function parseText(name: string, text: string, { parse, schema, expects }: SettingType, isSecret = false): unknown {
  const parsed = schema.safeParse(parse?.(text))
  if (parsed.success) return parsed.data
  throw new ConfigError(`${name} takes ${expects}${isSecret ? '' : `, not "${text}"`}.`)
}
