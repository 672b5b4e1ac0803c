/** Every way into a server, tried with the same credentials. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { onTestFinished } from 'vitest'
import { WebSocket } from 'ws'

export interface Entered {
  readonly status: number
  /** Of the error; undefined for a success. */
  readonly code: string | undefined
  readonly headers: Headers
  readonly text: string
}

export type Entrance = (url: string, headers: Record<string, string>, query?: string) => Promise<Entered>

/** By transport. The session `s` must exist. */
export const entrances: Readonly<Record<'http' | 'sse' | 'poll' | 'ws', Entrance>> = {
  http: (url, headers) => get(`${url}/api/models`, headers),
  sse: (url, headers, query = '') => get(`${url}/api/stream?session=s${query}`, headers),
  poll: (url, headers, query = '') => get(`${url}/api/stream?session=s&live=poll&wait=0${query}`, headers),
  ws: (url, headers, query = '') => handshake(`${url.replace('http', 'ws')}/ws/chat?session=s${query}`, headers),
}

/** The transports that a browser opens by an address alone. */
export const streams = ['sse', 'poll', 'ws'] as const

async function get(url: string, headers: Record<string, string>): Promise<Entered> {
  const abort = new AbortController()
  const response = await fetch(url, { headers, signal: abort.signal })
  const isStream = response.ok && response.headers.get('content-type')?.startsWith('text/event-stream')
  const text = isStream ? '' : await response.text()
  // A stream has no end.
  abort.abort()
  return entered(response.status, response.headers, text)
}

async function handshake(url: string, headers: Record<string, string>): Promise<Entered> {
  const client = new WebSocket(url, [], { headers })
  onTestFinished(() => client.terminate())
  const rejected = once(client, 'unexpected-response').then(async ([, answer]) => {
    const response = answer as IncomingMessage
    let text = ''
    for await (const chunk of response) text += String(chunk)
    return entered(response.statusCode ?? 0, new Headers(response.headers as Record<string, string>), text)
  })
  return Promise.race([rejected, once(client, 'open').then(() => entered(101, new Headers(), ''))])
}

function entered(status: number, headers: Headers, text: string): Entered {
  return { status, code: /"code":"(\w+)"/.exec(text)?.[1], headers, text }
}
