/** A producer: sends the body of an answer piece by piece over a socket of its own, and can be cut. */
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'

export interface ProducerAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly json: {
    readonly session?: string
    readonly run?: string
    readonly next?: number
    readonly end?: { readonly status: string; readonly error?: { readonly code: string; readonly message: string } }
    readonly error?: { readonly code: string; readonly message: string }
  }
}

export interface OpenProducer {
  /** Resolves when the system has taken it. */
  send(...lines: (object | string)[]): Promise<void>
  end(): Promise<ProducerAnswer>
  cut(): void
  readonly answer: Promise<ProducerAnswer>
}

export interface ProducerOptions {
  readonly query?: Record<string, string>
  readonly headers?: Record<string, string>
}

export const ndjson = { 'content-type': 'application/x-ndjson' }

export function producer(id: string, seq: number, epoch = 0): Record<string, string> {
  return { ...ndjson, 'producer-id': id, 'producer-epoch': `${epoch}`, 'producer-seq': `${seq}` }
}

export function openProducer(url: string, { query = {}, headers = ndjson }: ProducerOptions = {}): OpenProducer {
  const sent = request(`${url}/api/runs?${new URLSearchParams(query).toString()}`, { method: 'POST', headers, agent: false })
  const answer = (async () => {
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const body = await text(response)
    return { status: response.statusCode ?? 0, headers: response.headers, json: body === '' ? {} : JSON.parse(body) }
  })()
  // One that is cut gets no answer.
  answer.catch(() => {})
  sent.on('error', () => {})
  sent.flushHeaders()
  return {
    answer,
    async send(...lines) {
      const all = lines.map((line) => (typeof line === 'string' ? line : `${JSON.stringify(line)}\n`)).join('')
      const { promise, resolve } = Promise.withResolvers<void>()
      sent.write(all, () => resolve())
      await promise
    },
    end() {
      sent.end()
      return answer
    },
    cut: () => void sent.destroy(),
  }
}

/** All at once. */
export async function produce(
  url: string,
  lines: readonly (object | string)[],
  options?: ProducerOptions,
): Promise<ProducerAnswer> {
  const opened = openProducer(url, options)
  await opened.send(...lines)
  return opened.end()
}
