/**
 * What can go wrong, as a caller sees it: the codes of the server and a few that only a client can
 * know. Compare `code`, never `message`.
 */
import type { ErrorCode } from '@millrace/protocol'

const known = {
  unreachable: { retryable: true, message: 'The server was not reached, or the connection broke.' },
  silent: { retryable: true, message: 'No byte arrived in time.' },
  refused: { retryable: false, message: 'The request was rejected.' },
  token_failed: { retryable: true, message: 'token() failed; see cause.' },
  bad_answer: { retryable: true, message: 'No answer of a Millrace server; is there a proxy?' },
  deadline_exceeded: { retryable: true, message: 'The call was not answered before its deadline.' },
  outbox_full: { retryable: true, message: 'Too many commands are waiting.' },
  closed: { retryable: false, message: 'The client is closed.' },
} as const

/** Known only on this side of the wire. */
export type ClientErrorCode = keyof typeof known

export interface MillraceErrorDetails {
  readonly message?: string | undefined
  readonly cause?: unknown
  /** HTTP status of the answer, where there was one. */
  readonly status?: number | undefined
  /** What the server says of it; without that, the code or the status decides. */
  readonly retryable?: boolean | undefined
  /** How long the server asks to wait. */
  readonly retryAfterMs?: number | undefined
  readonly docs?: string | undefined
}

export class MillraceError extends Error {
  override readonly name = 'MillraceError'
  /** One of the server's table, one of this client's, or one that a newer server has. */
  readonly code: ErrorCode | ClientErrorCode | (string & {})
  /** Whether the same may succeed later without a change. */
  readonly retryable: boolean
  /** Where the code is explained: on the server itself, or in this package's README. */
  readonly docs: string
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined

  constructor(code: MillraceError['code'], details: MillraceErrorDetails = {}) {
    const entry = Object.hasOwn(known, code) ? known[code as keyof typeof known] : undefined
    super(details.message ?? entry?.message ?? code, { cause: details.cause })
    this.code = code
    this.status = details.status
    this.retryable = details.retryable ?? entry?.retryable ?? isPassing(details.status)
    this.retryAfterMs = details.retryAfterMs
    this.docs = details.docs ?? (entry === undefined ? `/docs/errors#${code}` : '@millrace/client/README.md#errors')
  }
}

/** The same connection goes through another tab now: nobody failed. */
export const handedOver = new MillraceError('unreachable', { message: 'Another tab leads.' })

/** Whether nothing will change by itself. Where something on the way has refused, as in a roll-out, it may; a token has been renewed. */
export function isFinal({ code, retryable, status }: MillraceError): boolean {
  return !retryable && (code !== 'refused' || status === 401)
}

/** A connection that broke; carries what the host said about it. */
export function unreachable(cause?: unknown): MillraceError {
  return new MillraceError('unreachable', { cause })
}

/** The error in a refusal's body; one by its status where a gateway answered for the server. Rejects where the body was cut. */
export async function readRefusal(response: Response, base: string): Promise<MillraceError> {
  const { status, headers } = response
  const text = await response.text().catch((cause: unknown) => {
    throw unreachable(cause)
  })
  const details = { status, retryAfterMs: readRetryAfter(headers.get('retry-after')) }
  return (
    readError(parse(text), base, details) ??
    new MillraceError(isPassing(status) ? 'unreachable' : 'refused', { ...details, message: `HTTP ${status}` })
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The error of `{"error":{"code","message","docs","retryable"}}`; undefined where the body is not that. */
export function readError(body: unknown, base: string, details: MillraceErrorDetails = {}): MillraceError | undefined {
  const { code, message, docs, retryable, retryAfter } = ((body as { error?: unknown } | undefined)?.error ?? {}) as Record<
    string,
    unknown
  >
  if (typeof code !== 'string') return undefined
  return new MillraceError(code, {
    ...details,
    // Messages of a WebSocket and events of a stream have no header.
    retryAfterMs: details.retryAfterMs ?? (typeof retryAfter === 'number' ? retryAfter * 1000 : undefined),
    retryable: typeof retryable === 'boolean' ? retryable : undefined,
    message: typeof message === 'string' ? message : undefined,
    docs: typeof docs === 'string' && URL.canParse(docs, base) ? new URL(docs, base).href : undefined,
  })
}

/** The range decides where the code says nothing. */
function isPassing(status = 0): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429
}

/** Seconds or a date; undefined for anything else. */
function readRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}
