/** The command line: finds the command, and prints errors as one sentence instead of a stack. */
import { ConfigError } from '../config/config-error.ts'
import { suggest } from '../config/nearest.ts'
import { commands, commandsHelp } from './commands.ts'

const [first = 'start', ...rest] = process.argv.slice(2)
// `millrace --port 8080` starts a server.
const isNamed = !first.startsWith('-')
const name = isNamed ? first : 'start'
const args = isNamed ? rest : process.argv.slice(2)
const wantsHelp = args.some((arg) => arg === '--help' || arg === '-h')

// As in `millrace tail … | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

try {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (name === 'help' || (wantsHelp && !isNamed)) process.stdout.write(commandsHelp)
  else if (entry === undefined) throw new ConfigError(`There is no command "${name}".${suggest(name, Object.keys(commands))}`)
  else {
    const command = await entry.load()
    if (wantsHelp) process.stdout.write(command.help)
    else await command.run({ args, env: process.env, folder: process.cwd() })
  }
} catch (error) {
  const isUsage = error instanceof ConfigError
  const known = Object.hasOwn(commands, name) ? ` ${name}` : ''
  process.stderr.write(
    `millrace: ${(error as Error).message}\n${isUsage ? `\nmillrace${known} --help says what can be set.\n` : ''}`,
  )
  process.exit(isUsage ? 2 : 1)
}
