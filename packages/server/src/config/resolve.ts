/** Each setting's effective value and where it comes from: flags before variables before the file before defaults. */
import type { MillraceConfig } from './config.ts'
import { type Env, readEnvironment } from './environment.ts'
import { loadConfigFile } from './file.ts'
import { parseText } from './parse-text.ts'
import type { Setting } from './setting.ts'
import { settings } from './settings.ts'

export type SettingSource = 'flag' | 'environment' | 'file' | 'default'

export interface EffectiveSetting {
  readonly setting: Setting
  /** Undefined where nothing is set, and there is no default. */
  readonly value: unknown
  readonly source: SettingSource
  /** The flag, the variable or the file; undefined for a default. */
  readonly from: string | undefined
}

export interface ResolvedConfig {
  /** With the defaults: what `config print` shows is what the server uses. */
  readonly config: MillraceConfig
  /** All settings, in the order of the table. */
  readonly effective: readonly EffectiveSetting[]
}

/** From the command line, by the names of flags: text, or true for one without a value. */
export type Flags = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

export interface ResolveOptions {
  readonly flags: Flags
  readonly env: Env
  /** Where a configuration file is looked for. */
  readonly folder: string
}

/** Rejects with a ConfigError. */
export async function resolveConfig({ flags, env, folder }: ResolveOptions): Promise<ResolvedConfig> {
  const variables = readEnvironment(env)
  const file = await loadConfigFile(folder, (flags['config'] as string | undefined) ?? env['MILLRACE_CONFIG'])
  const effective = settings.map((setting): EffectiveSetting => {
    const flag = setting.flag === undefined ? undefined : flags[setting.flag]
    if (flag !== undefined) return { setting, value: readFlag(setting, flag), source: 'flag', from: `--${setting.flag}` }
    const variable = variables.get(setting.key)
    if (variable !== undefined) return { setting, value: variable.value, source: 'environment', from: variable.name }
    if (file?.values.has(setting.key)) {
      return { setting, value: file.values.get(setting.key), source: 'file', from: file.name }
    }
    return { setting, value: setting.default, source: 'default', from: undefined }
  })
  return { config: nest(effective), effective }
}

function readFlag({ flag, type }: Setting, given: string | boolean | readonly string[]): unknown {
  if (typeof given === 'boolean') return given
  return parseText(`--${flag}`, [given].flat().join(','), type)
}

function nest(effective: readonly EffectiveSetting[]): MillraceConfig {
  const config: Record<string, unknown> = {}
  for (const { setting, value } of effective) {
    if (value === undefined) continue
    const parts = setting.key.split('.')
    const last = parts.pop() as string
    let parent = config
    for (const part of parts) {
      parent[part] ??= {}
      parent = parent[part] as Record<string, unknown>
    }
    parent[last] = value
  }
  return config as MillraceConfig
}
