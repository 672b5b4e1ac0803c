/** Reads a session or a channel over each transport with nothing but the standards. */
import type { Source } from '@millrace/protocol'
import { call, type Target } from './case.ts'
import { streamSse } from './sse.ts'

export interface WireEvent {
  readonly id: string
  readonly event: string
  readonly data: unknown
}

export interface Reader {
  readonly name: string
  /**
   * Events after a position until the caller stops. Rejects with an error whose message is the code. `onAttached` is called when
   * the server has taken the position, which `now` names only then.
   */
  read(target: Target, source: Source, from: string, onAttached?: () => void): AsyncGenerator<WireEvent>
}

const path = (source: Source, from: string, more: Record<string, string> = {}) =>
  `/api/stream?${new URLSearchParams({ ...source, from, ...more }).toString()}`

async function requireOk(response: Response): Promise<Response> {
  if (!response.ok) throw new Error(((await response.json()) as { error: { code: string } }).error.code)
  return response
}

const sse: Reader = {
  name: 'SSE',
  async *read(target, source, from, onAttached = () => {}) {
    const response = await requireOk(await call(target, path(source, from), { headers: { accept: 'text/event-stream' } }))
    onAttached()
    for await (const { id = '', event = 'message', data } of streamSse(response)) yield { id, event, data: JSON.parse(data) }
  },
}

const poll: Reader = {
  name: 'long-poll',
  async *read(target, source, from, onAttached = () => {}) {
    for (let at = from, wait = '0'; ; wait = '2') {
      const response = await requireOk(await call(target, path(source, at, { live: 'poll', wait })))
      const { events, position } = (await response.json()) as { events: WireEvent[]; position: string }
      if (wait === '0') onAttached()
      yield* events
      at = position
    }
  },
}

const webSocket: Reader = {
  name: 'WebSocket',
  async *read({ url, token, signal }, source, from, onAttached = () => {}) {
    const ticket = token === undefined ? '' : `?ticket=${await takeTicket(url, token)}`
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws/chat${ticket}`)
    const messages: Record<string, unknown>[] = []
    let wake = () => {}
    const notify = () => wake()
    socket.onopen = () => socket.send(JSON.stringify({ type: 'attach', ...source, from }))
    socket.onclose = notify
    socket.onmessage = ({ data }) => {
      messages.push(JSON.parse(String(data)) as Record<string, unknown>)
      notify()
    }
    signal.addEventListener('abort', notify)
    try {
      while (!signal.aborted && (socket.readyState < 2 || messages.length > 0)) {
        const message = messages.shift()
        if (message?.type === 'error') throw new Error((message.error as { code: string }).code)
        if (message?.type === 'attached') onAttached()
        if (message?.type === 'event') yield message as unknown as WireEvent
        if (message === undefined)
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      socket.close()
    }
  },
}

/** The standard's WebSocket sends no headers. */
async function takeTicket(url: string, token: string): Promise<string> {
  const response = await fetch(`${url}/api/tickets`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
  return ((await response.json()) as { ticket: string }).ticket
}

export const readers: readonly Reader[] = [sse, webSocket, poll]

export async function readUntil(events: AsyncGenerator<WireEvent>, isLast: (event: WireEvent) => boolean): Promise<WireEvent[]> {
  const seen: WireEvent[] = []
  for await (const event of events) {
    seen.push(event)
    if (isLast(event)) return seen
  }
  throw new Error('the stream ended before the last event')
}
