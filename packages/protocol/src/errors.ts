/**
 * Every error that the server sends: one closed table. Clients decide by `code`; the message is for people and may
 * change. A check compares docs/errors.md with this table.
 */
import type { Position } from './position.ts'

export interface ErrorEntry {
  /** HTTP status; `closeCodeOf` derives the close code of a WebSocket from it. */
  readonly status: number
  /** Whether the same request may succeed later. */
  readonly retryable: boolean
  /** What happened and what to do, in one sentence for people. */
  readonly message: string
}

export const errors = {
  invalid_request: entry(400, false, 'The request does not match its schema; compare it with /api/openapi.json.'),
  invalid_json: entry(400, false, 'The body is not valid JSON; send one JSON object in UTF-8.'),
  invalid_id: entry(400, false, 'The id is not valid; use 1 to 64 characters of A-Z a-z 0-9 _ and -.'),
  invalid_channel: entry(
    400,
    false,
    'The channel name is not valid; use 1 to 128 characters of A-Z a-z 0-9 _ . : / and -, starting with a letter, digit or _.',
  ),
  invalid_event: entry(
    400,
    false,
    'The event is not valid; send JSON data and a name of 1 to 64 characters of A-Z a-z 0-9 _ . and -, starting with a letter, not gap.',
  ),
  query_missing: entry(400, false, 'The request has no query; send ?query=… or {"query": "…"}.'),
  query_too_long: entry(413, false, 'The query is longer than 32,768 characters; shorten it.'),
  messages_invalid: entry(400, false, 'The messages do not follow each other as they must; correct their order.'),
  tool_result_unexpected: entry(400, false, 'A tool result names no open call of a tool; send it right after its call.'),
  tool_result_missing: entry(400, false, 'A tool call has no result; send its result in the next message.'),
  messages_too_large: entry(413, false, 'The messages are larger than 240 KiB, or more than 1,000; send fewer.'),
  param_not_supported: entry(400, false, 'The model does not take this parameter; leave it out, or ask another model.'),
  arguments_invalid: entry(400, false, 'The arguments do not match the schema of the tool; correct them.'),
  file_empty: entry(400, false, 'The file has no bytes; send one that has.'),
  file_too_large: entry(413, false, 'The file is larger than this server accepts; send a smaller one.'),
  file_type_not_allowed: entry(415, false, 'This server does not accept files of this type; send another type.'),
  file_type_mismatch: entry(415, false, 'The bytes are not of the type that the file is declared as; declare what it is.'),
  file_not_found: entry(404, false, 'The session has no file at this position; send the position that its upload returned.'),
  file_not_supported: entry(400, false, 'The model does not take files of this type; leave it out, or ask another model.'),
  upload_not_found: entry(404, false, 'The upload does not exist, was cancelled or has expired; begin it again.'),
  upload_offset_mismatch: entry(409, false, 'The upload continues at another offset; ask for it, and send the bytes from there.'),
  body_too_large: entry(413, false, 'The body is larger than 1 MiB; send a smaller one.'),
  event_too_large: entry(413, false, 'The event is larger than 1 MiB on the wire; send less, or a link.'),
  headers_too_large: entry(431, false, 'The request line and headers are larger than 16 KiB; send fewer or shorter ones.'),
  malformed_http: entry(400, false, 'The request is not valid HTTP/1.1; correct the client or proxy that sent it.'),
  request_timeout: entry(408, true, 'The request did not arrive completely in time; send it again.'),
  unsupported_media_type: entry(415, false, 'The body is not declared as JSON; send content-type: application/json.'),
  origin_not_allowed: entry(
    403,
    false,
    'A page of another site sent the request; serve it from the origin of this server, or allow its origin with --origin or createMillrace({ access: { origins } }).',
  ),
  host_not_allowed: entry(
    403,
    false,
    'The server does not answer to this host name; allow it with --host-name or createMillrace({ hostNames }).',
  ),
  unauthenticated: entry(401, false, 'The request has no credentials; send an Authorization header, or a ticket.'),
  token_expired: entry(401, false, 'The token has expired; get a new one and send the request again.'),
  token_rejected: entry(401, false, 'The token or key is not valid here; get one that was issued for this server.'),
  token_revoked: entry(401, false, 'The token was revoked; sign in again, or use another token.'),
  ticket_rejected: entry(401, false, 'The ticket was used, has expired or does not exist; get a new one with POST /api/tickets.'),
  keys_unavailable: entry(503, true, 'The keys that verify tokens could not be fetched; try again later.'),
  forbidden: entry(403, false, 'You may not do this; ask the operator of the server for permission.'),
  not_found: entry(404, false, 'Nothing is at this address; /api/openapi.json lists the addresses.'),
  method_not_allowed: entry(405, false, 'This address does not accept this method; use one of the Allow header.'),
  upgrade_required: entry(426, false, 'This address is a WebSocket; open it as one, with upgrade: websocket.'),
  model_not_found: entry(404, false, 'No model has this name; choose one of GET /api/models.'),
  model_unavailable: entry(503, false, 'The package or key of this model is missing; install or set it on the server.'),
  session_not_found: entry(404, false, 'The session does not exist, was deleted or has expired; create a new one.'),
  not_attached: entry(409, false, 'This connection is not attached to that session or channel; attach first.'),
  run_not_found: entry(404, false, 'No run has this id, or it has expired; check the id.'),
  parent_not_found: entry(404, false, 'The session has no such run or lane to follow; read the session to see which it has.'),
  parent_in_progress: entry(409, false, 'The run to follow has not ended; ask when it has, or queue the question.'),
  queue_entry_not_found: entry(404, false, 'No question with this id waits; it was started or removed, read the session.'),
  queue_full: entry(429, false, 'Too many questions wait in this session; remove some, or wait until one was started.'),
  run_conflict: entry(409, false, 'A run with this id has another session, query or models; choose a new id.'),
  run_not_continuable: entry(409, false, 'The answer is active, complete or already continued; read the session to see which.'),
  run_not_waiting: entry(
    409,
    false,
    'The run does not wait: it goes on, was stopped, or has ended; read the session to see which.',
  ),
  call_not_found: entry(404, false, 'The run has no call with this id or approval; read the session to see its calls.'),
  call_not_waiting: entry(409, false, 'The call waits for nothing; it has its result, or was never finished.'),
  call_decided: entry(409, false, 'Somebody has decided about this call before; read the session to see what.'),
  approval_expired: entry(410, false, 'The time to decide about this call is over; continue the run without it, or ask again.'),
  run_ended: entry(409, false, 'The run has ended without the rest of these lines; read the session to see its end.'),
  run_elsewhere: entry(503, true, 'Another server has the run, and did not respond; send the request again.'),
  run_not_ended: entry(504, true, 'The run is stopped, but its end is not recorded yet; send the request again.'),
  producer_fenced: entry(403, false, 'A producer of a later epoch goes on with the run; stop sending.'),
  producer_gap: entry(409, false, 'Lines are missing before this one; send them from Producer-Expected-Seq on.'),
  fenced: entry(409, false, 'Another server has ended this run; read the session to see its end.'),
  head_moved: entry(409, false, 'The log has grown since it was read; read the new events and decide again.'),
  position_invalid: entry(400, false, 'This is not a position; send the id of an event unchanged.'),
  position_foreign: entry(
    409,
    false,
    'The position belongs to another log, or to one that was lost; read the session and resume from its position.',
  ),
  position_ahead: entry(409, false, 'The position is ahead of the log; read the session and resume from its position.'),
  position_expired: entry(
    410,
    false,
    'Events after this position are no longer kept; read the session and resume from its position.',
  ),
  too_many_attachments: entry(
    429,
    false,
    'This connection already reads 64 sessions and runs; detach some, or open another connection.',
  ),
  too_many_connections: entry(429, true, 'The limit of connections is reached; close one, or connect again later.'),
  too_many_runs: entry(429, true, 'Too many runs are in progress; send the request again when one has ended.'),
  too_many_uploads: entry(429, true, 'Too many uploads are unfinished; finish or cancel one, or try again later.'),
  rate_limited: entry(429, true, 'Too many requests in a short time; send the request again after the time in Retry-After.'),
  budget_exhausted: entry(429, true, 'The tokens or costs of this day are used up; ask again after midnight UTC.'),
  model_failed: entry(502, true, 'The model ended with an error; the text before it is kept, try again.'),
  model_rejected: entry(502, false, 'The model rejected the request and would reject it again; change the request.'),
  model_unauthorized: entry(502, false, 'The model provider does not accept the key; check it on the server.'),
  producer_lost: entry(502, true, 'The producer of the answer left and did not come back; the text before it is kept.'),
  model_rate_limited: entry(429, true, 'The model provider limits the rate of requests; try again later.'),
  model_timeout: entry(504, true, 'The model did not answer in time; the text before it is kept, try again.'),
  server_stopping: entry(503, true, 'The server is stopping; connect again.'),
  connection_closed: entry(503, true, 'The operator of the server closed this connection; connect again.'),
  server_full: entry(503, true, 'The server is near the limit of its open files; connect again later.'),
  engine_failed: entry(500, true, 'The engine did not read or write; try again, and see the error output of the server.'),
  engine_busy: entry(503, true, 'The engine gets more requests than it can handle; nothing is lost, try again.'),
  log_damaged: entry(
    500,
    false,
    'The stored events are damaged and cannot be read; delete the log, or ask the operator of the server.',
  ),
  log_full: entry(507, true, 'The engine has no room for the event; nothing is lost, try again later.'),
  internal: entry(500, true, 'The server failed unexpectedly; try again, and see the error output of the server.'),
} as const

export type ErrorCode = keyof typeof errors

/** The part of an error that clients get. */
export interface PublicError {
  readonly code: ErrorCode
  readonly message: string
  /** Whether the same request may succeed later. */
  readonly retryable: boolean
  /** Seconds until it may; absent where the server cannot tell. */
  readonly retryAfter?: number
}

/** The body of every HTTP response that is not a success. */
export interface ErrorBody {
  readonly error: PublicError & { readonly docs: string }
}

/** The address of the explanation; the server serves it. */
export function errorDocs(code: ErrorCode): string {
  return `/docs/errors#${code}`
}

export interface MillraceErrorOptions {
  /**
   * Replaces the sentence of the table. Clients get it, so it must not contain internal details. With status 500 only
   * the operator gets it.
   */
  readonly message?: string
  readonly cause?: unknown
  /** With `head_moved`: the head of the log. */
  readonly position?: Position | undefined
  /** Seconds until the same request may succeed. */
  readonly retryAfter?: number | undefined
}

/** The only error class of the server. Compare `code`, never `message`. */
export class MillraceError extends Error {
  override readonly name = 'MillraceError'
  readonly code: ErrorCode
  readonly position: Position | undefined
  readonly retryAfter: number | undefined

  constructor(code: ErrorCode, options: MillraceErrorOptions = {}) {
    super(options.message ?? errors[code].message, { cause: options.cause })
    this.code = code
    this.position = options.position
    this.retryAfter = options.retryAfter
  }

  get status(): number {
    return errors[this.code].status
  }

  get retryable(): boolean {
    return errors[this.code].retryable
  }

  /** The part that clients get. With status 500 the message may contain internal details, so the table's replaces it. */
  toPublic(): PublicError {
    const { code, status, message, retryable, retryAfter } = this
    return {
      code,
      message: status === 500 ? errors[code].message : message,
      retryable,
      ...(retryAfter !== undefined && { retryAfter }),
    }
  }

  toBody(): ErrorBody {
    const { code, message, ...rest } = this.toPublic()
    return { error: { code, message, docs: errorDocs(this.code), ...rest } }
  }
}

function entry(status: number, retryable: boolean, message: string): ErrorEntry {
  return { status, retryable, message }
}
