/** All settings, in the groups and the order of the docs. The compiler reports a key of MillraceConfig that has none. */
import type { MillraceConfig } from './config.ts'
import type { Uncovered } from './paths.ts'
import type { Setting } from './setting.ts'
import { accessSettings } from './settings/access.ts'
import { limitsSettings } from './settings/limits.ts'
import { logsSettings } from './settings/logs.ts'
import { modelsSettings } from './settings/models.ts'
import { operationsSettings } from './settings/operations.ts'
import { serverSettings } from './settings/server.ts'

const groups = {
  server: serverSettings,
  models: modelsSettings,
  logs: logsSettings,
  access: accessSettings,
  limits: limitsSettings,
  operations: operationsSettings,
} as const

export type SettingKey = (typeof groups)[keyof typeof groups][number]['key']

/** An error here names a key of MillraceConfig that has no setting: add it to a file in settings/. */
const uncovered: Record<Uncovered<MillraceConfig, SettingKey>, Setting> = {}
void uncovered

export const settingGroups: Readonly<Record<keyof typeof groups, readonly Setting[]>> = groups

export const settings: readonly Setting[] = Object.values(settingGroups).flat()
