/**
 * The page's calls of the HTTP API. Addresses are relative to the page, so that a host may serve
 * both under a path of its own. An answer is a value, never an exception: callers decide by `kind`.
 */
import { type ErrorCode, errors, type PublicError, readBinary } from '@millrace/protocol'
import { isFields, readSnapshot } from './decode.ts'
import { currentToken, requireSignIn } from './sign-in.ts'
import type { SnapshotAnswer } from './stream.ts'

export interface ModelInfo {
  readonly name: string
  readonly description: string
  readonly languageModel: boolean
}

export interface ModelList {
  /** Absent where this user may not ask it. */
  readonly default?: string
  readonly models: readonly ModelInfo[]
}

/** `unreachable`: nobody knows whether the request was carried out; with the same id it may be sent again. */
export type Answer =
  | { readonly kind: 'done'; readonly body: unknown }
  | { readonly kind: 'refused'; readonly status: number; readonly error: PublicError }
  | { readonly kind: 'unreachable' }

export interface Question {
  readonly session: string
  /** The run's id, chosen here: sent twice it still starts one run. */
  readonly id: string
  readonly query: string
  readonly models: readonly string[]
}

/** A link that died without a word must not keep a request waiting for ever. */
const answerMaxMs = 20_000

export function createSession(id: string): Promise<Answer> {
  return call('api/sessions', { id })
}

export async function readModels(): Promise<ModelList | undefined> {
  const answer = await call('api/models')
  if (answer.kind !== 'done' || !isFields(answer.body)) return undefined
  const { default: preferred, models } = answer.body
  if (!Array.isArray(models)) return undefined
  return { ...(typeof preferred === 'string' && { default: preferred }), models: models.filter(isModelInfo) }
}

export async function readSession(session: string, signal?: AbortSignal): Promise<SnapshotAnswer> {
  const answer = await call(`api/sessions/${encodeURIComponent(session)}`, undefined, signal)
  if (answer.kind === 'refused') {
    const { code } = answer.error
    if (code === 'log_damaged') return { kind: 'damaged' }
    // Only the server itself knows that: a gateway's 404 while it is replaced, or a 403, says nothing about the session.
    return { kind: code === 'session_not_found' || code === 'invalid_id' ? 'missing' : 'unreachable' }
  }
  const state = answer.kind === 'done' ? readSnapshot(answer.body) : undefined
  return state === undefined ? { kind: 'unreachable' } : { kind: 'snapshot', state }
}

/** The bytes of a file; undefined where they are no longer kept, `unreachable` where another attempt may bring them. */
export async function readFile(
  session: string,
  position: string,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer> | 'unreachable' | undefined> {
  const query = new URLSearchParams({ session, from: position, live: 'poll', wait: '0' })
  const answer = await call(`api/stream?${query}`, undefined, signal)
  if (answer.kind === 'unreachable' || (answer.kind === 'refused' && answer.error.retryable)) return 'unreachable'
  if (answer.kind !== 'done' || !isFields(answer.body) || !Array.isArray(answer.body.events)) return undefined
  const [event] = answer.body.events as unknown[]
  return isFields(event) && event.event === 'file_data' ? readBinary(event.data) : undefined
}

/** Whether the server lets somebody with this token in. */
export async function checkToken(token: string): Promise<'accepted' | 'rejected' | 'unreachable'> {
  try {
    const { status } = await fetch(address('api/models'), { headers: bearer(token), signal: AbortSignal.timeout(answerMaxMs) })
    if (status >= 500) return 'unreachable'
    return status === 401 ? 'rejected' : 'accepted'
  } catch {
    return 'unreachable'
  }
}

/** The conversation as a file; undefined where it could not be read. */
export async function readExport(path: string): Promise<Blob | undefined> {
  try {
    const response = await fetch(address(path), { headers: bearer(currentToken()) })
    return response.ok ? await response.blob() : undefined
  } catch {
    return undefined
  }
}

/** No header can have other characters, and `fetch` would throw. */
function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token.replaceAll(/[^\x21-\x7e]/g, '?')}` }
}

async function call(path: string, body?: unknown, signal?: AbortSignal): Promise<Answer> {
  const content = body === undefined ? {} : { 'content-type': 'application/json' }
  const headers = { accept: 'application/json', ...bearer(currentToken()), ...content }
  const post = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
  const bound = AbortSignal.timeout(answerMaxMs)
  try {
    const response = await fetch(address(path), {
      ...post,
      headers,
      signal: signal === undefined ? bound : AbortSignal.any([signal, bound]),
    })
    const answer: unknown = await response.json().catch(() => undefined)
    if (response.ok) return { kind: 'done', body: answer }
    const refusal = refused(response.status, answer)
    if (response.status === 401 && refusal.kind === 'refused') requireSignIn(refusal.error.code)
    return refusal
  } catch {
    // No connection, or it broke off: the caller tries again or says so.
    return { kind: 'unreachable' }
  }
}

/** A gateway answers for a server that is away (502, 503, 504) without our error body. */
function refused(status: number, body: unknown): Answer {
  const error = isFields(body) && isFields(body.error) ? body.error : {}
  const { code, message } = error
  if (typeof code !== 'string' || !(code in errors)) {
    if (status >= 502 && status <= 504) return { kind: 'unreachable' }
    return { kind: 'refused', status, error: { code: 'internal', message: `HTTP ${status}`, retryable: true } }
  }
  const known = code as ErrorCode
  // The server is about to go away; another one, or itself, will answer in a moment.
  if (known === 'server_stopping') return { kind: 'unreachable' }
  const text = typeof message === 'string' ? message : errors[known].message
  return { kind: 'refused', status, error: { code: known, message: text, retryable: errors[known].retryable } }
}

function isModelInfo(model: unknown): model is ModelInfo {
  return isFields(model) && typeof model.name === 'string' && typeof model.description === 'string'
}

function address(path: string): string {
  return new URL(path, document.baseURI).href
}
