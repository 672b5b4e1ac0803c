/** `millrace publish`: appends an event to a channel. */
import { text } from 'node:stream/consumers'
import { ConfigError } from '../config/config-error.ts'
import { parseArguments } from './arguments.ts'
import type { Command, CommandContext } from './command.ts'
import { findRemote, remoteHelp, remoteOptions } from './remote.ts'

export const publishCommand: Command = {
  help: `Usage: millrace publish <channel> [data] [options]

Appends an event to a channel, and prints its position. The data is JSON, or else text; without it, standard input is read.

  --event <name>      default message
  --id <id>           the same id again in the same channel publishes nothing
  --json              print the response: {"channel","position","duplicate"}
${remoteHelp}`,
  run: publish,
}

async function publish(context: CommandContext): Promise<void> {
  const { values, positionals } = parseArguments(context.args, {
    ...remoteOptions,
    event: { type: 'string' },
    id: { type: 'string' },
    json: { type: 'boolean', default: false },
  })
  const [channel, given, ...rest] = positionals
  if (channel === undefined || rest.length > 0) throw new ConfigError('Name one channel, then the data, quoted as one argument.')
  const remote = await findRemote(context, values)
  const data = toData(given ?? (await text(process.stdin)).trimEnd())
  const body = JSON.stringify({ channel: channel.replace(/^channel\//, ''), event: values.event, id: values.id, data })
  const response = await remote.fetch('/api/publish', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const published = (await response.json()) as { readonly position: string; readonly duplicate: boolean }
  if (values.json) process.stdout.write(`${JSON.stringify(published)}\n`)
  else process.stdout.write(`${published.position}${published.duplicate ? ' (published before, under the same id)' : ''}\n`)
}

function toData(given: string): unknown {
  try {
    return JSON.parse(given)
  } catch {
    return given
  }
}
