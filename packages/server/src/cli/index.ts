/** The command line: parses the options, starts the server, and prints errors as one sentence instead of a stack. */
import { help, parseOptions } from './options.ts'
import { start } from './start.ts'
import { UsageError } from './usage-error.ts'

try {
  const options = parseOptions(process.argv.slice(2), process.env)
  if (options === 'help') process.stdout.write(help)
  else await start(options)
} catch (error) {
  const isUsage = error instanceof UsageError
  process.stderr.write(`${isUsage ? '' : 'millrace: '}${(error as Error).message}\n${isUsage ? `\n${help}` : ''}`)
  process.exit(isUsage ? 2 : 1)
}
