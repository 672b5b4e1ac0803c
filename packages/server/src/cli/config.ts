/** `millrace config print`: each setting's effective value, and where it is from. */
import { ConfigError } from '../config/config-error.ts'
import { describeSetting } from '../config/describe.ts'
import { type Flags, resolveConfig } from '../config/resolve.ts'
import { parseArguments } from './arguments.ts'
import type { Command, CommandContext } from './command.ts'
import { printTable } from './print.ts'
import { nameVariable, settingOptions } from './settings-flags.ts'

export const configCommand: Command = {
  help: `Usage: millrace config print [options of start]

Prints the value of each setting and where it is from. Secrets are masked.

  --json              a list of {"key","value","source","from"}
  --config <path>     the configuration file (MILLRACE_CONFIG)
  --help              print this text
`,
  run: print,
}

async function print({ args, env, folder }: CommandContext): Promise<void> {
  const { values, positionals } = parseArguments(args, { ...settingOptions, json: { type: 'boolean' } }, nameVariable)
  if (positionals.length !== 1 || positionals[0] !== 'print') throw new ConfigError('Say what to do: millrace config print.')
  const { effective } = await resolveConfig({ flags: values as Flags, env, folder })
  const described = effective.map(describeSetting)
  if (values['json'] === true) return void process.stdout.write(`${JSON.stringify(described, undefined, 2)}\n`)
  printTable(
    ['key', 'value', 'from'],
    described.map(({ key, value, source, from }) => [key, toText(value), from === undefined ? source : `${source} ${from}`]),
  )
}

function toText(value: unknown): string {
  if (value === undefined) return '-'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
