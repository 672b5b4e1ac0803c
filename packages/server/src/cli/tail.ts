/** `millrace tail`: prints the events of a session or a channel as they are recorded, and resumes after cuts. */
import { setTimeout as delay } from 'node:timers/promises'
import { createSseParser, type ParsedSseEvent, silenceMs } from '@millrace/protocol'
import { ConfigError } from '../config/config-error.ts'
import { parseArguments } from './arguments.ts'
import type { Command, CommandContext } from './command.ts'
import { findRemote, type Remote, RemoteError, remoteHelp, remoteOptions, toRemoteError, Unreachable } from './remote.ts'

export const tailCommand: Command = {
  help: `Usage: millrace tail <session> [options]
       millrace tail channel/<name> [options]

Prints the events of a session or a channel as they are recorded, until you stop it. After a cut it continues after the
last event.

  --from <position>   start (default), now, or a position
  --json              one JSON object per line: {"id","event","data"}
${remoteHelp}`,
  run: tail,
}

const retryMsMin = 500
const retryMsMax = 10_000

async function tail(context: CommandContext): Promise<void> {
  const { values, positionals } = parseArguments(context.args, {
    ...remoteOptions,
    from: { type: 'string', default: 'start' },
    json: { type: 'boolean', default: false },
  })
  const [log = '', ...rest] = positionals
  if (log === '' || rest.length > 0) throw new ConfigError('Name one session, or one channel as channel/<name>.')
  const remote = await findRemote(context, values)
  const channel = /^channel\/(.+)/.exec(log)?.[1]
  const query = channel === undefined ? { session: log } : { channel }
  const print = values.json ? printJson : printText
  let position = values.from
  let retryMs = 0
  for (;;) {
    try {
      await read(remote, query, position, (event) => {
        retryMs = retryMsMin
        if (event.id !== '') position = event.id
        print(event)
      })
    } catch (error) {
      // At first a wrong address is more likely than a server that comes back.
      if (retryMs === 0 && error instanceof Unreachable) throw error
      if (!(error instanceof Unreachable || (error instanceof RemoteError && error.isRetryable))) throw error
      process.stderr.write(`millrace: ${error.message} Trying again.\n`)
      retryMs ||= retryMsMin
      await delay(retryMs)
      retryMs = Math.min(retryMs * 2, retryMsMax)
    }
  }
}

/** Resolves or rejects when the stream ends. */
async function read(
  remote: Remote,
  query: Record<string, string>,
  position: string,
  onEvent: (event: ParsedSseEvent) => void,
): Promise<void> {
  const abort = new AbortController()
  const response = await remote.fetch(`/api/stream?${new URLSearchParams({ ...query, from: position }).toString()}`, {
    headers: { accept: 'text/event-stream' },
    signal: abort.signal,
  })
  let ending: RemoteError = new RemoteError('The connection was lost.', true)
  let lastId = ''
  const parser = createSseParser({
    onEvent(event) {
      // Without a position it is about the stream. Another `renew` of this command would be the same token.
      if (event.id !== '' && !(event.id === lastId && isOfStream(event))) onEvent(event)
      else if (event.event === 'error') ending = toRemoteError(event.data, 'The stream failed.')
      lastId = event.id
    },
  })
  const silence = setTimeout(() => abort.abort(), silenceMs)
  try {
    for await (const chunk of response.body ?? []) {
      silence.refresh()
      parser.push(chunk)
    }
  } catch {
    // Cut, or silent for too long: `ending` says what is known.
  } finally {
    clearTimeout(silence)
  }
  throw ending
}

function isOfStream({ event }: ParsedSseEvent): boolean {
  return event === 'error' || event === 'renew'
}

function printText({ id, event, data }: ParsedSseEvent): void {
  process.stdout.write(`${id}  ${event}  ${data}\n`)
}

function printJson({ id, event, data }: ParsedSseEvent): void {
  process.stdout.write(`${JSON.stringify({ id, event, data: JSON.parse(data) as unknown })}\n`)
}
