/** The options that an application gave to `createMillrace`, as settings that may be shown. */
import type { Json } from '@millrace/protocol'
import type { MillraceOptions } from '../options.ts'
import { describeValue } from './describe.ts'
import { settings } from './settings.ts'

export interface DescribedOption {
  readonly key: string
  readonly value: Json | undefined
  readonly source: 'code' | 'default'
  readonly from: undefined
}

/** Only of the command; and the engine, whose default differs. */
const ofCommand = /^(port|host|open|data|durability|keepDays|graceSeconds|workers|jwt\..*)$/

export function describeOptions(options: MillraceOptions): DescribedOption[] {
  return settings
    .filter(({ key }) => !ofCommand.test(key))
    .map((setting) => {
      const given = setting.key.split('.').reduce<unknown>((value, part) => (value as Record<string, unknown>)?.[part], options)
      const fallback = setting.key === 'engine' ? 'memory' : setting.default
      const source = given === undefined ? 'default' : 'code'
      return { key: setting.key, value: describeValue(setting, given ?? fallback), source, from: undefined }
    })
}
