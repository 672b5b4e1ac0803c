/** Writes the tables of settings into the guide on configuration, from the table that the server parses them by. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Setting } from '../packages/server/src/config/setting.ts'
import { type SettingKey, settingGroups } from '../packages/server/src/config/settings.ts'
import { root } from './install.mjs'
import { settingsZh } from './settings-zh.ts'

export interface SettingsDocument {
  readonly file: string
  readonly text: string
}

type Group = keyof typeof settingGroups

const languages = [
  {
    file: 'docs/guides/configuration.md',
    columns: ['key', 'flag, variable', 'default', 'meaning'],
    titles: { server: 'Server', models: 'Models', logs: 'Logs', access: 'Access', limits: 'Limits', operations: 'Operation' },
    helpOf: ({ help }: Setting) => help,
    onlyInFile: 'file only',
  },
  {
    file: 'docs/guides/configuration.zh-CN.md',
    columns: ['键', '选项、环境变量', '默认值', '含义'],
    titles: { server: '服务器', models: '模型', logs: '日志', access: '访问', limits: '限制', operations: '运行' },
    helpOf: ({ key }: Setting) => settingsZh[key as SettingKey],
    onlyInFile: '仅限文件',
  },
] satisfies readonly {
  file: string
  columns: readonly string[]
  titles: Record<Group, string>
  helpOf: (setting: Setting) => string
  onlyInFile: string
}[]

/** Both languages of the guide, as they should be. */
export function renderSettingsDocs(): SettingsDocument[] {
  return languages.map(({ file, columns, titles, helpOf, onlyInFile }) => {
    const head = `| ${columns.join(' | ')} |\n${'|---'.repeat(columns.length)}|`
    const tables = Object.entries(settingGroups).map(([group, members]) => {
      const rows = members.map(
        (setting) => `| \`${setting.key}\` | ${waysOf(setting) || onlyInFile} | ${defaultOf(setting)} | ${helpOf(setting)} |`,
      )
      return `### ${titles[group as Group]}\n\n${head}\n${rows.join('\n')}\n`
    })
    const text = readFileSync(join(root, file), 'utf8')
    const between = /<!-- settings -->[\s\S]*<!-- \/settings -->/
    return { file, text: text.replace(between, () => `<!-- settings -->\n${tables.join('\n')}\n<!-- /settings -->`) }
  })
}

function waysOf({ flag, env, type: { placeholder } }: Setting): string {
  return [flag && `--${flag} ${placeholder ?? ''}`.trim(), env]
    .filter(Boolean)
    .map((way) => `\`${way?.replaceAll('|', '\\|')}\``)
    .join('<br>')
}

function defaultOf({ default: value }: Setting): string {
  return typeof value === 'number' ? value.toLocaleString('en', { useGrouping: value >= 10_000 }) : String(value ?? '')
}
