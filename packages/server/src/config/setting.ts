/** One setting, described once: from this flags, variables and the file are parsed, and help, docs and `config print` made. */
import type { MillraceConfig } from './config.ts'
import type { PathOf } from './paths.ts'
import type { SettingType } from './setting-types.ts'

export interface Setting {
  /** Path in the configuration file. */
  readonly key: PathOf<MillraceConfig>
  readonly type: SettingType
  /** A secret is also read from the file that the variable with `_FILE` names. */
  readonly env?: string
  /** Without dashes. Secrets have none: other users of the machine see the arguments of a process. */
  readonly flag?: string
  /** Undefined where it depends on another setting; `help` says how. */
  readonly default?: string | number | boolean | readonly string[]
  /** Never printed. */
  readonly isSecret?: true
  readonly help: string
}
