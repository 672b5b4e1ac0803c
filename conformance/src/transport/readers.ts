/** Reads a log over each transport with nothing but the standards, as any client can. */
import { createSseParser, readBinary, readBinaryFrame, type Source } from '@millrace/protocol'

export interface WireEvent {
  readonly id: string
  readonly event: string
  /** JSON, or bytes. */
  readonly data: unknown
}

export interface ReadRequest {
  readonly url: string
  readonly source: Source
  readonly from: string
  readonly signal: AbortSignal
}

/** Events after a position until the signal aborts. Throws an error whose message is the code. */
export type WireReader = (request: ReadRequest) => AsyncGenerator<WireEvent>

const address = ({ url, source, from }: ReadRequest, more: Record<string, string> = {}) =>
  `${url}/api/stream?${new URLSearchParams({ ...source, from, ...more }).toString()}`

async function throwCode(response: Response): Promise<never> {
  throw new Error(((await response.json()) as { error: { code: string } }).error.code)
}

const withBytes = (data: unknown): unknown => readBinary(data) ?? data

export const overSse: WireReader = async function* (request) {
  const response = await fetch(address(request), { signal: request.signal })
  if (!response.ok || response.body === null) return throwCode(response)
  const events: WireEvent[] = []
  const parser = createSseParser({
    onEvent: ({ id, event, data }) => void events.push({ id, event, data: withBytes(JSON.parse(data)) }),
  })
  for await (const chunk of response.body) {
    parser.push(chunk)
    yield* events.splice(0)
  }
}

/** Reads over SSE and acknowledges each event of a session over a WebSocket; hybrid's commands do not name a channel. */
export const overHybrid: WireReader = async function* (request) {
  const { url, source } = request
  const query = new URLSearchParams({ ...source, down: 'sse' })
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/chat?${query.toString()}`)
  const opened = new Promise((resolve) => {
    socket.onopen = resolve
  })
  let code: string | undefined
  socket.onmessage = ({ data }) => {
    code ??= (JSON.parse(String(data)) as { error?: { code: string } }).error?.code
  }
  try {
    for await (const event of overSse(request)) {
      await opened
      if (code !== undefined) throw new Error(code)
      if ('session' in source) socket.send(JSON.stringify({ type: 'ack', ...source, id: event.id }))
      yield event
    }
  } finally {
    socket.close()
  }
}

export const overPoll: WireReader = async function* (request) {
  for (let from = request.from; !request.signal.aborted; ) {
    const response = await fetch(address({ ...request, from }, { live: 'poll', wait: '1' }), { signal: request.signal })
    if (!response.ok) return throwCode(response)
    const answer = (await response.json()) as { events: WireEvent[]; position: string }
    for (const { id, event, data } of answer.events) yield { id, event, data: withBytes(data) }
    from = answer.position
  }
}

export const overWebSocket: WireReader = async function* ({ url, source, from, signal }) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/chat`)
  socket.binaryType = 'arraybuffer'
  const messages: Record<string, unknown>[] = []
  let wake = () => {}
  const notify = () => wake()
  signal.addEventListener('abort', notify)
  socket.onopen = () => socket.send(JSON.stringify({ type: 'attach', ...source, from }))
  socket.onclose = notify
  socket.onmessage = ({ data }) => {
    if (typeof data === 'string') messages.push(JSON.parse(data) as Record<string, unknown>)
    else {
      const frame = readBinaryFrame(data as ArrayBuffer)
      messages.push({ ...(frame?.header as object), data: frame?.bytes })
    }
    notify()
  }
  try {
    while (!signal.aborted && (socket.readyState < 2 || messages.length > 0)) {
      const message = messages.shift()
      if (message?.type === 'error') throw new Error((message.error as { code: string }).code)
      if (message?.type === 'event') yield message as unknown as WireEvent
      if (message === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    socket.close()
  }
}
