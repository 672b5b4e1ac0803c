/** The options of `millrace start`: command line before environment before default, each checked here. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { AccessOptions } from '../access/access.ts'
import { readAccess, splitList } from './access-options.ts'
import { UsageError } from './usage-error.ts'

export interface StartOptions {
  readonly port: number
  readonly host: string | undefined
  readonly hostNames: readonly string[]
  readonly model: string
  readonly engine: string
  /** Folder of the engine sqlite. */
  readonly folder: string
  /** Of the engine sqlite. */
  readonly durability: 'process' | 'disk' | undefined
  /** How long events and unused sessions are kept; undefined leaves it to the engine. */
  readonly ageMsMax: number | undefined
  /** How long SIGTERM waits for runs to end. */
  readonly graceMs: number
  readonly workers: number
  readonly access: AccessOptions
}

const workersMax = 64
const keepDaysMax = 36_500
const graceSecondsMax = 3600
const dayMs = 24 * 60 * 60 * 1000

export const help = `Usage: millrace start [options]

  --port <number>    port to listen on            PORT             4600
  --host <address>   address to listen on         HOST             127.0.0.1
  --host-name <name> another host name to answer  MILLRACE_HOST_NAMES
                     to, as behind a proxy;
                     repeat it, or use commas
  --model <name>     model of a request that      MILLRACE_MODEL   auto
                     names none: auto, builtin:guide, sim:count,
                     openai:gpt-6-luna, any provider:model of LangChain
  --engine <name>    where logs are kept: sqlite  MILLRACE_ENGINE  sqlite
                     in a folder, memory, or
                     for many servers
                     redis://host:6379 or
                     nats://host:4222
  --data <folder>    folder of the engine sqlite  MILLRACE_DATA    ./.millrace
  --durability <of>  what a commit of the engine  MILLRACE_DURABILITY
                     sqlite survives: process,                     process
                     a crash or kill -9; disk,
                     a power loss too
  --keep <days>      how long events and unused   MILLRACE_KEEP    30
                     sessions are kept                             (memory: 1)
  --grace <seconds>  how long SIGTERM waits for   MILLRACE_GRACE   8
                     runs to end
  --workers <number> processes behind the port,   MILLRACE_WORKERS 1
                     over an engine that they
                     share
  --help             print this text

Who may use the server, by environment only:

  MILLRACE_JWT_SECRET      each of these three turns authentication on: the
  MILLRACE_JWT_PUBLIC_KEY  secret of HS256 tokens, at least 32 bytes; a key
  MILLRACE_JWKS_URL        in PEM; the address or path of a key set
  MILLRACE_JWT_ISSUER      the iss that tokens must have
  MILLRACE_JWT_AUDIENCE    the aud that tokens must have
  MILLRACE_ADMIN_KEY       an API key that may do everything
  MILLRACE_ORIGINS         the only pages of other origins, with commas
  MILLRACE_TRUSTED_PROXIES addresses or networks of proxies, with commas

Secrets and keys can also be in files: MILLRACE_JWT_SECRET_FILE=<path>, …
`

/** Throws a UsageError for an option or a command that cannot be used. */
export function parseOptions(args: readonly string[], env: NodeJS.ProcessEnv): StartOptions | 'help' {
  const { values, positionals } = parse(args)
  if (values.help) return 'help'
  const [command = 'start', ...rest] = positionals
  if (command !== 'start' || rest.length > 0) throw new UsageError(`There is no command "${positionals.join(' ')}".`)
  const engine = values.engine ?? env.MILLRACE_ENGINE ?? 'sqlite'
  return {
    port: parsePort(values.port ?? env.PORT ?? '4600'),
    host: values.host ?? env.HOST,
    hostNames: (values['host-name'] ?? [env.MILLRACE_HOST_NAMES ?? '']).flatMap(splitList),
    model: values.model ?? env.MILLRACE_MODEL ?? 'auto',
    engine,
    folder: resolve(values.data ?? env.MILLRACE_DATA ?? '.millrace'),
    durability: parseDurability(values.durability ?? env.MILLRACE_DURABILITY, engine),
    ageMsMax: parseKeep(values.keep ?? env.MILLRACE_KEEP),
    graceMs: parseGrace(values.grace ?? env.MILLRACE_GRACE ?? '8'),
    workers: parseWorkers(values.workers ?? env.MILLRACE_WORKERS ?? '1'),
    access: readAccess(env),
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        port: { type: 'string' },
        host: { type: 'string' },
        'host-name': { type: 'string', multiple: true },
        model: { type: 'string' },
        engine: { type: 'string' },
        data: { type: 'string' },
        durability: { type: 'string' },
        keep: { type: 'string' },
        grace: { type: 'string' },
        workers: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error })
  }
}

function parsePort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new UsageError(`--port takes a number from 0 to 65535, not "${text}".`)
}

function parseDurability(text: string | undefined, engine: string): 'process' | 'disk' | undefined {
  if (text !== undefined && text !== 'process' && text !== 'disk')
    throw new UsageError(`--durability takes process or disk, not "${text}".`)
  if (text !== undefined && engine !== 'sqlite')
    throw new UsageError(`--durability applies to the engine sqlite only, not to "${engine}".`)
  return text
}

function parseKeep(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const days = Number(text)
  if (days > 0 && days <= keepDaysMax) return days * dayMs
  throw new UsageError(`--keep takes days, more than 0 and up to ${keepDaysMax}, not "${text}".`)
}

function parseGrace(text: string): number {
  const seconds = Number(text)
  if (seconds >= 0 && seconds <= graceSecondsMax) return seconds * 1000
  throw new UsageError(`--grace takes seconds from 0 to ${graceSecondsMax}, not "${text}".`)
}

function parseWorkers(text: string): number {
  const workers = Number(text)
  if (Number.isInteger(workers) && workers >= 1 && workers <= workersMax) return workers
  throw new UsageError(`--workers takes a number from 1 to ${workersMax}, not "${text}".`)
}
