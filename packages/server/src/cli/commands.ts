/** The commands. Each is loaded when it is called: a module that only one needs must not delay the others. */
import type { Command } from './command.ts'

interface CommandEntry {
  readonly summary: string
  readonly load: () => Promise<Command>
}

export const commands: Readonly<Record<string, CommandEntry>> = {
  start: { summary: 'start a server', load: async () => (await import('./start.ts')).startCommand },
}

const width = Math.max(...Object.keys(commands).map((name) => name.length))

export const commandsHelp = `Usage: millrace <command> [options]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  .join('\n')}

millrace <command> --help describes a command. Without a command, start is meant.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
`
