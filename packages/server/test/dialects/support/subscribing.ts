/** A server with subscriptions of Durable Streams, and what their clients and workers send. */
import type { MillraceOptions } from 'millrace'
import { startServer } from '../../support/server.ts'
import { bearer } from '../../support/tokens.ts'
import type { Receiver, Wake } from './webhook-receiver.ts'

const json = { 'content-type': 'application/json' }

export const subscribing: MillraceOptions = {
  dialects: ['durable-streams'],
  durableStreams: { subscriptions: true },
  privateHosts: ['127.0.0.1'],
}

export interface Client {
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  append(name: string, message: unknown): Promise<Answer>
  subscribe(id: string, body: object, headers?: Record<string, string>): Promise<Answer>
  find(id: string): Promise<Described>
}

export interface Answer {
  readonly status: number
  readonly body: Claim & {
    readonly error: { readonly code: string; readonly current_holder?: string }
    readonly next_wake: boolean
  }
}

export interface Claim {
  readonly wake_id: string
  readonly generation: number
  readonly token: string
  readonly streams: Wake['streams']
}

export interface Described {
  readonly status: string
  readonly streams: readonly { readonly path: string; readonly link_type: string; readonly acked_offset: string }[]
  readonly webhook: { readonly signing: { readonly kid: string; readonly jwks_url: string } }
}

export function clientOf(url: string, credentials: Record<string, string> = {}): Client {
  const send: Client['send'] = async (method, path, body, headers = credentials) => {
    const init = { method, headers: { ...json, ...headers }, ...(body !== undefined && { body: JSON.stringify(body) }) }
    const response = await fetch(`${url}/ds/streams/${path}`, init)
    const text = await response.text()
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : { text } }
  }
  return {
    send,
    append: async (name, message) => {
      const created = await send('PUT', name, message)
      return created.status === 201 ? created : send('POST', name, message)
    },
    subscribe: (id, body, headers) => send('PUT', `__ds/subscriptions/${id}`, body, headers),
    find: async (id) => (await send('GET', `__ds/subscriptions/${id}`)).body as unknown as Described,
  }
}

export async function open(options: MillraceOptions = {}) {
  const server = await startServer({ ...subscribing, ...options })
  return { ...server, ...clientOf(server.url) }
}

export const webhook = ({ url }: Receiver, more: object = {}) => ({
  type: 'webhook',
  pattern: 'jobs/**',
  webhook: { url },
  ...more,
})
export const pull = (more: object = {}) => ({ type: 'pull-wake', pattern: 'jobs/*', wake_stream: 'wakes', ...more })
export const actionOf = (id: string, action: string) => `__ds/subscriptions/${id}/${action}`
const tailsOf = ({ streams }: Pick<Claim, 'streams'>) =>
  streams.filter(({ has_pending }) => has_pending).map(({ path, tail_offset }) => ({ stream: path, offset: tail_offset }))
export const acknowledge = (
  { send }: Pick<Client, 'send'>,
  id: string,
  { wake_id, generation, token, streams }: Claim,
  more: object = {},
) => send('POST', actionOf(id, 'ack'), { wake_id, generation, acks: tailsOf({ streams }), done: true, ...more }, bearer(token))

export async function callBack(
  { callback_url, callback_token, wake_id, generation, streams }: Wake,
  more: object = {},
): Promise<Answer> {
  const body = JSON.stringify({ wake_id, generation, acks: tailsOf({ streams }), done: true, ...more })
  const response = await fetch(callback_url, { method: 'POST', headers: { ...json, ...bearer(callback_token) }, body })
  return { status: response.status, body: (await response.json()) as Answer['body'] }
}
