/** `millrace keys`: creates, lists and revokes the API keys of a running server. */
import { ConfigError } from '../config/config-error.ts'
import { parseArguments } from './arguments.ts'
import type { Command, CommandContext } from './command.ts'
import { printTable } from './print.ts'
import { findRemote, type Remote, remoteHelp, remoteOptions } from './remote.ts'

export const keysCommand: Command = {
  help: `Usage: millrace keys create --name <name> [--may <action>] [options]
       millrace keys list [options]
       millrace keys revoke <id> [options]

The API keys of a running server. A key is shown once, when it is created.

  --name <name>       for people
  --may <action>      what the key allows, such as ticket.create; repeat it, or use commas; default what everybody may do
  --json              print the response
${remoteHelp}`,
  run: keys,
}

interface ApiKey {
  readonly id: string
  readonly name: string
  readonly may?: readonly string[]
  readonly createdAt: number
}

const path = '/api/admin/keys'

async function keys(context: CommandContext): Promise<void> {
  const { values, positionals } = parseArguments(separateId(context.args), {
    ...remoteOptions,
    name: { type: 'string' },
    may: { type: 'string', multiple: true },
    json: { type: 'boolean', default: false },
  })
  const [action, id, ...rest] = positionals
  if (
    (action !== 'create' && action !== 'list' && action !== 'revoke') ||
    rest.length > 0 ||
    (id !== undefined) !== (action === 'revoke')
  )
    throw new ConfigError('Say what to do: create --name <name>, list, or revoke <id>.')
  if ((action === 'create') !== (values.name !== undefined)) throw new ConfigError('--name is for create, and create needs it.')
  const remote = await findRemote(context, values)
  if (action === 'create') {
    const may = values.may?.flatMap((each) => each.split(',')).map((each) => each.trim())
    await create(remote, { name: values.name, may }, values.json)
  } else if (action === 'list') await list(remote, values.json)
  else {
    await remote.fetch(`${path}/${encodeURIComponent(id as string)}`, { method: 'DELETE' })
    process.stdout.write(values.json ? `${JSON.stringify({ id })}\n` : `${id} is revoked.\n`)
  }
}

/** An id may begin with a dash, and is no option. */
function separateId([action = '', id = '', ...rest]: readonly string[]): readonly string[] {
  return action === 'revoke' && /^-[\w-]{11}$/.test(id) ? [action, ...rest, '--', id] : [action, id, ...rest].filter(Boolean)
}

async function create(remote: Remote, key: object, isJson: boolean): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await remote.fetch(path, { method: 'POST', headers, body: JSON.stringify(key) })
  const created = (await response.json()) as ApiKey & { readonly key: string }
  // The key alone on standard output, so that it can be captured.
  process.stdout.write(isJson ? `${JSON.stringify(created)}\n` : `${created.key}\n`)
  if (!isJson) process.stderr.write(`This key is shown only now. Its id is ${created.id}.\n`)
}

async function list(remote: Remote, isJson: boolean): Promise<void> {
  const { keys } = (await (await remote.fetch(path)).json()) as { readonly keys: readonly ApiKey[] }
  if (isJson) process.stdout.write(`${JSON.stringify(keys)}\n`)
  else printTable(['id', 'name', 'may', 'created'], keys.map(toRow))
}

function toRow({ id, name, may, createdAt }: ApiKey): string[] {
  return [id, name, may?.join(',') ?? '(everybody’s)', new Date(createdAt).toISOString()]
}
