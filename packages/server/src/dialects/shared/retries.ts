/**
 * Gives a request that is sent again the run of the first one. The clients of OpenAI and Anthropic repeat a POST by themselves, with no key but
 * with a count: a request with the count 0 is a new one, whatever it says, and one with more attaches.
 */
import { randomBytes } from 'node:crypto'
import { MillraceError } from '@millrace/protocol'
import { LRUCache } from 'lru-cache'
import type { Caller } from '../../access/caller.ts'
import type { Runs } from '../../runs/runs.ts'
import { digestId } from './id-of-name.ts'

/** A client may wait ten minutes before it sends again. */
const keptMs = 15 * 60_000
const requestsMax = 2000
/** Equal requests that one client has sent in this time. */
const equalMax = 16

/** Seconds. */
const waitMax = 60

interface Sent {
  readonly run: string
  /** The highest count with which it was sent. */
  retries: number
}

export interface RetriesOptions {
  readonly runs: Pick<Runs, 'get'>
}

export class Retries {
  readonly #sent = new LRUCache<string, Sent[]>({ max: requestsMax, ttl: keptMs })
  readonly #options: RetriesOptions

  constructor(options: RetriesOptions) {
    this.#options = options
  }

  /** The id of the run of a request. Throws `invalid_request`. */
  runOf(
    { principal, address = '', path, headers }: Pick<Caller, 'principal' | 'address' | 'path' | 'headers'>,
    body: unknown,
  ): string {
    const named = headers.get('idempotency-key') ?? ''
    if (named !== '') return digestId(['key', principal.id, path, named])
    // Strangers have one name.
    const who = principal.kind === 'anonymous' ? address : principal.id
    const key = digestId([principal.kind, who, path, encode(body)])
    const count = Number(headers.get('x-stainless-retry-count') ?? 0)
    const all = this.#sent.get(key) ?? []
    const known = count > 0 ? all.filter(({ run }) => !this.#hasFailed(run)) : []
    // Of equal requests the one that has not been sent with this count; what repeats a retry has no other.
    const before = known.findLast(({ retries }) => retries < count) ?? known.at(-1)
    if (before !== undefined) {
      before.retries = Math.max(before.retries, count)
      return before.run
    }
    const run = randomBytes(16).toString('base64url')
    this.#sent.set(key, [...all.slice(1 - equalMax), { run, retries: Math.max(0, count) }])
    return run
  }

  /** Whether the run ended without an answer, so that a retry asks again. */
  #hasFailed(run: string): boolean {
    const status = this.#options.runs.get(run)?.end?.status
    return status === 'failed' || status === 'interrupted'
  }
}

/**
 * The header of an error. Without it, those clients repeat a request by its status alone, and some wait for as long as
 * `Retry-After` says, which may be until the next day.
 */
export function retryHeader({ retryable, retryAfter = 0 }: Pick<MillraceError, 'retryable' | 'retryAfter'>) {
  return { 'x-should-retry': `${retryable && retryAfter <= waitMax}` }
}

/** Throws `invalid_request` for JSON so deep that it overflows the stack of a function that encodes it, in whatever field. */
function encode(body: unknown): string {
  try {
    return JSON.stringify(body)
  } catch (cause) {
    throw new MillraceError('invalid_request', { message: 'The body has too many levels; send JSON of at most 64.', cause })
  }
}
