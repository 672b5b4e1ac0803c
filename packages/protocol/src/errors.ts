/**
 * Every error that may leave the server: one closed table. Clients decide by `code`; the message
 * is for people and may change. A test holds docs/errors.md and this table to each other.
 */
import type { Position } from './position.ts'

export interface ErrorEntry {
  /** HTTP status where the error answers a request. */
  readonly status: number
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean
  /** What happened and what to do, for people. */
  readonly message: string
}

export const errors = {
  invalid_request: entry(400, false, 'The request does not have the expected shape; see /api/openapi.json.'),
  invalid_json: entry(400, false, 'The body is not valid JSON; send one JSON object in UTF-8.'),
  invalid_id: entry(400, false, 'An id has 1 to 64 characters of A-Z a-z 0-9 _ and -; choose another one.'),
  invalid_channel: entry(
    400,
    false,
    'A channel has a name of 1 to 128 characters of A-Z a-z 0-9 _ . : / and -, the first a letter, digit or _; choose another one.',
  ),
  invalid_event: entry(
    400,
    false,
    'An event has a name of 1 to 64 characters of A-Z a-z 0-9 _ . and -, the first a letter, other than gap, and data that is JSON.',
  ),
  query_missing: entry(400, false, 'There is no query; send ?query=… or {"query": "…"}.'),
  query_too_long: entry(413, false, 'The query is longer than 32,768 characters; shorten it.'),
  body_too_large: entry(413, false, 'The body is larger than 1 MiB; send less.'),
  event_too_large: entry(413, false, 'The event is larger than 1 MiB on the wire; send less, or a link.'),
  headers_too_large: entry(431, false, 'The request line and headers are larger than 16 KiB; send fewer or shorter ones.'),
  malformed_http: entry(400, false, 'The request is not valid HTTP/1.1.'),
  request_timeout: entry(408, true, 'The request did not arrive completely in time; send it again.'),
  unsupported_media_type: entry(415, false, 'The body must be JSON; send content-type: application/json.'),
  origin_not_allowed: entry(403, false, 'Another web site may not use this server from a browser.'),
  host_not_allowed: entry(
    403,
    false,
    'The server does not answer to this host name; allow it with --host-name or createMillrace({ hostNames }).',
  ),
  forbidden: entry(403, false, 'This is not yours to read or to do.'),
  not_found: entry(404, false, 'There is nothing at this address; see /api/openapi.json.'),
  method_not_allowed: entry(405, false, 'This address does not take this method; see the Allow header.'),
  model_not_found: entry(404, false, 'There is no model of this name; GET /api/models lists what there is.'),
  model_unavailable: entry(503, false, 'The model is known but cannot be used here: its package or key is missing.'),
  session_not_found: entry(404, false, 'There is no such session; it was never created, or it has expired.'),
  not_attached: entry(409, false, 'This connection is not attached to that session or channel; attach first.'),
  run_not_found: entry(404, false, 'There is no such run; it was never started, or it has expired.'),
  run_conflict: entry(409, false, 'A run with this id was started with another session, query or models; choose a new id.'),
  run_not_continuable: entry(
    409,
    false,
    'Only an answer that has ended, is not whole and was not continued yet can be continued; read the session to see how it is.',
  ),
  run_not_ended: entry(
    504,
    true,
    'The run was told to stop and has not ended yet; ask again, or read the session to see how it is.',
  ),
  fenced: entry(409, false, 'Another server has ended what this one was writing; read the session to see how.'),
  head_moved: entry(409, false, 'The log has moved on; read what is new in it, and decide again.'),
  position_invalid: entry(400, false, 'This is not a position; send one that an event carried as its id.'),
  position_foreign: entry(
    409,
    false,
    'The position belongs to another log, or to an earlier one that was lost; read the session and go on from its position.',
  ),
  position_ahead: entry(409, false, 'The position is ahead of the log; read the session and go on from its position.'),
  position_expired: entry(
    410,
    false,
    'The log no longer reaches back to this position; read the session and go on from its position.',
  ),
  too_many_attachments: entry(
    429,
    false,
    'One connection carries at most 64 sessions and runs; detach from some, or open another.',
  ),
  too_many_connections: entry(429, true, 'There are as many connections as there may be; close one, or try again later.'),
  too_many_runs: entry(429, true, 'Too many runs are in progress; try again when one has ended.'),
  model_failed: entry(502, true, 'The model ended with an error; what it had said so far is kept.'),
  model_rejected: entry(502, false, 'The model refused the request; another attempt would be refused too.'),
  model_unauthorized: entry(502, false, 'The model provider does not accept the key; check it on the server.'),
  model_rate_limited: entry(429, true, 'The model provider is limiting requests; try again later.'),
  model_timeout: entry(504, true, 'The model did not answer in time; what it had said so far is kept.'),
  server_stopping: entry(503, true, 'The server is stopping; connect again.'),
  connection_closed: entry(503, true, 'The operator of the server closed this connection; connect again.'),
  server_full: entry(503, true, 'The server has as many files and connections open as it may; connect again later.'),
  engine_failed: entry(500, true, "The engine could not do it; the server's log has the details."),
  engine_busy: entry(503, true, 'More is asked of the engine than it can do; nothing was lost, try again.'),
  log_damaged: entry(500, false, 'What is kept of this is damaged and cannot be read; delete it, or ask who runs the server.'),
  log_full: entry(507, true, 'The engine could not keep the event; nothing was lost, try again.'),
  internal: entry(500, true, 'The server made a mistake; its log has the details.'),
} as const

export type ErrorCode = keyof typeof errors

/** The part of an error that may leave the server. */
export interface PublicError {
  readonly code: ErrorCode
  readonly message: string
  /** Whether the same may succeed later without a change. */
  readonly retryable: boolean
}

/** The body of every answer that is not a success. */
export interface ErrorBody {
  readonly error: PublicError & { readonly docs: string }
}

/** Where a code is explained; the server serves this address itself. */
export function errorDocs(code: ErrorCode): string {
  return `/docs/errors#${code}`
}

export interface MillraceErrorOptions {
  /**
   * A sentence more exact than the table's. It leaves the server, so it MUST NOT hold details of the inside; with status
   * 500 it does not, and is for whoever runs it.
   */
  readonly message?: string
  readonly cause?: unknown
  /** Of `head_moved`: the head of the log as it is. */
  readonly position?: Position | undefined
}

/** The only error class of Millrace. Compare `code`, never `message`. */
export class MillraceError extends Error {
  override readonly name = 'MillraceError'
  readonly code: ErrorCode
  readonly position: Position | undefined

  constructor(code: ErrorCode, options: MillraceErrorOptions = {}) {
    super(options.message ?? errors[code].message, { cause: options.cause })
    this.code = code
    this.position = options.position
  }

  get status(): number {
    return errors[this.code].status
  }

  get retryable(): boolean {
    return errors[this.code].retryable
  }

  /** What of it may leave the server. */
  toPublic(): PublicError {
    const { code, status, message, retryable } = this
    return { code, message: status === 500 ? errors[code].message : message, retryable }
  }

  toBody(): ErrorBody {
    const { retryable, ...told } = this.toPublic()
    return { error: { ...told, docs: errorDocs(this.code), retryable } }
  }
}

function entry(status: number, retryable: boolean, message: string): ErrorEntry {
  return { status, retryable, message }
}
