/** A running server, as the commands see it: its address, the credential, and errors as sentences. */
import { z } from 'zod'
import { ConfigError } from '../config/config-error.ts'
import { resolveConfig } from '../config/resolve.ts'
import { readSecretFile } from '../config/secret-file.ts'
import type { Options } from './arguments.ts'
import type { CommandContext } from './command.ts'

export const remoteOptions = { url: { type: 'string' }, config: { type: 'string' } } as const satisfies Options

export const remoteHelp = `  --url <address>     the server (MILLRACE_URL); default the port of the configuration on this machine
  --config <path>     the configuration file (MILLRACE_CONFIG)
  --help              print this text

The credential is MILLRACE_TOKEN, or the file that MILLRACE_TOKEN_FILE names, else the admin key of the configuration
(MILLRACE_ADMIN_KEY). It has no flag: other users of the machine see the arguments of a process.
`

export interface Remote {
  /** Rejects with the server's error, or with one sentence where there is no server. */
  fetch(path: string, init?: RequestInit): Promise<Response>
}

/** Rejects with a ConfigError. */
export async function findRemote(
  { env, folder }: CommandContext,
  { url: named, config: file }: { readonly url?: string | undefined; readonly config?: string | undefined },
): Promise<Remote> {
  const { config } = await resolveConfig({ flags: { config: file }, env, folder })
  const url = named ?? env['MILLRACE_URL'] ?? `http://127.0.0.1:${config.port}`
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw new ConfigError(`"${url}" is not an address; give one such as http://127.0.0.1:4600.`)
  const token = readToken(env) ?? config.access?.adminKey
  const credential = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return {
    async fetch(path, init = {}) {
      const headers = { ...credential, ...(init.headers as Record<string, string>) }
      const response = await connect(new URL(path.replace(/^\//, ''), `${url.replace(/\/$/, '')}/`), { ...init, headers })
      if (response.ok) return response
      throw await readError(response)
    },
  }
}

/** Connection errors of `fetch` have their reason in a cause. */
async function connect(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch (error) {
    if (init.signal?.aborted) throw error
    const { cause } = error as { cause?: Error }
    throw new Unreachable(
      `No server responds at ${url.origin}: ${cause?.message || (cause as NodeJS.ErrnoException)?.code || String(error)}.`,
    )
  }
}

/** The same request may succeed later. */
export class Unreachable extends Error {}

/** Throws a ConfigError for a file that cannot be read. */
export function readToken(env: NodeJS.ProcessEnv): string | undefined {
  const path = env['MILLRACE_TOKEN_FILE']
  return env['MILLRACE_TOKEN'] ?? (path === undefined ? undefined : readSecretFile('MILLRACE_TOKEN_FILE', path))
}

const errorBody = z.object({ error: z.object({ code: z.string(), message: z.string(), retryable: z.boolean() }) })

/** An error of the server, for people. */
export class RemoteError extends Error {
  readonly isRetryable: boolean

  constructor(message: string, isRetryable: boolean) {
    super(message)
    this.isRetryable = isRetryable
  }
}

/** From the body of an error, or the data of an `error` event. */
export function toRemoteError(text: string, otherwise: string): RemoteError {
  const body = errorBody.safeParse(parse(text))
  if (!body.success) return new RemoteError(otherwise, false)
  const { code, message, retryable } = body.data.error
  return new RemoteError(`${message} (${code})`, retryable)
}

async function readError(response: Response): Promise<RemoteError> {
  return toRemoteError(await response.text(), `The server responded with ${response.status}, and not as Millrace does.`)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
