/** The commands. Each is loaded when it is called: a module that only one needs must not delay the others. */
import type { Command } from './command.ts'

interface CommandEntry {
  readonly summary: string
  readonly load: () => Promise<Command>
}

export const commands: Readonly<Record<string, CommandEntry>> = {
  start: { summary: 'start a server', load: async () => (await import('./start.ts')).startCommand },
  dev: { summary: 'start a server for development', load: async () => (await import('./start.ts')).devCommand },
  token: { summary: 'make a token for development, or verify one', load: async () => (await import('./token.ts')).tokenCommand },
  keys: { summary: 'create, list and revoke API keys', load: async () => (await import('./keys.ts')).keysCommand },
  tail: { summary: 'print the events of a session or a channel', load: async () => (await import('./tail.ts')).tailCommand },
  publish: { summary: 'append an event to a channel', load: async () => (await import('./publish.ts')).publishCommand },
  doctor: {
    summary: 'find what a proxy breaks, and what is wrong with a token',
    load: async () => (await import('./doctor/index.ts')).doctorCommand,
  },
  config: { summary: 'print what is configured, and where', load: async () => (await import('./config.ts')).configCommand },
}

const width = Math.max(...Object.keys(commands).map((name) => name.length))

export const commandsHelp = `Usage: millrace <command> [options]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  .join('\n')}

millrace <command> --help describes a command. Without a command, start is meant.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
`
