/** The settings as flags of a command, and their help: made from the table. */
import type { Setting } from '../config/setting.ts'
import { settingGroups, settings } from '../config/settings.ts'
import type { Options } from './arguments.ts'

const own: Options = { config: { type: 'string' }, help: { type: 'boolean', short: 'h' } }

export const settingOptions: Options = {
  ...own,
  ...Object.fromEntries(
    settings.flatMap(({ flag, type }) => {
      if (flag === undefined) return []
      return [[flag, { type: type.placeholder === undefined ? 'boolean' : 'string', multiple: type.isList === true }] as const]
    }),
  ),
}

/** Of a setting that has no flag, such as a secret: what to do instead. */
export function nameVariable(flag: string): string | undefined {
  const name = `MILLRACE_${flag.slice(2).replaceAll('-', '_').toUpperCase()}`
  return settings.some(({ env }) => env === name) ? `set ${name}` : undefined
}

const flagWidth = 28
const lineWidth = 100

/** One paragraph for each setting that has a flag or a variable. */
export const settingsHelp = Object.entries(settingGroups)
  .map(([group, members]) => {
    const rows = members.filter(({ flag, env }) => flag !== undefined || env !== undefined)
    return `${title(group)}\n\n${rows.map(describe).join('\n')}\n`
  })
  .join('\n')

function describe({ flag, env, type, help, default: usual, isSecret }: Setting): string {
  const { placeholder = '' } = type
  const name = flag === undefined ? `${env}` : `--${flag} ${placeholder}`.trim()
  const more = [
    flag !== undefined && type.isList && 'repeat it, or use commas',
    flag === undefined && !isSecret && placeholder.slice(1, -1),
    flag === undefined ? isSecret && `or in the file that ${env}_FILE names` : env,
    usual !== undefined && `default ${String(usual)}`,
  ]
  const text = `${help.replaceAll('`', '')} (${more.filter(Boolean).join('; ')})`.replace(' ()', '')
  const indent = ' '.repeat(flagWidth + 2)
  const lines = wrap(text, lineWidth - indent.length).join(`\n${indent}`)
  return name.length < flagWidth ? `  ${name.padEnd(flagWidth)}${lines}` : `  ${name}\n${indent}${lines}`
}

function title(group: string): string {
  return `${group[0]?.toUpperCase()}${group.slice(1)}:`
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line === undefined || line.length + word.length >= width) lines.push(word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines
}
