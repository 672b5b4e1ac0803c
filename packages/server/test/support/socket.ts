/** A WebSocket client that reads message by message. */
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import { type ClientOptions, WebSocket } from 'ws'

export interface TestSocket {
  readonly client: WebSocket
  readonly received: Record<string, unknown>[]
  send(message: object | string): void
  next(): Promise<Record<string, unknown>>
  /** Messages up to and including the first that the predicate accepts. */
  until(accept: (message: Record<string, unknown>) => boolean): Promise<Record<string, unknown>[]>
  /** Close code and reason, once it is closed. */
  readonly closed: Promise<[code: number, reason: string]>
}

export async function openSocket(
  url: string,
  protocols: string[] = [],
  options: ClientOptions = {},
  search = '',
): Promise<TestSocket> {
  const client = new WebSocket(`${url.replace('http', 'ws')}/ws/chat${search}`, protocols, options)
  onTestFinished(() => client.terminate())
  const received: Record<string, unknown>[] = []
  let taken = 0
  let wake = () => {}
  client.on('message', (data) => {
    received.push(JSON.parse((data as Buffer).toString('utf8')))
    wake()
  })
  const closed = new Promise<[number, string]>((resolve) => {
    client.once('close', (code, reason) => {
      wake()
      resolve([code, String(reason)])
    })
  })
  await once(client, 'open')
  const next = async () => {
    while (taken >= received.length) {
      if (client.readyState === WebSocket.CLOSED) throw new Error(`closed after ${JSON.stringify(received)}`)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return received[taken++] as Record<string, unknown>
  }
  return {
    client,
    received,
    send: (message) => client.send(typeof message === 'string' ? message : JSON.stringify(message)),
    next,
    async until(accept) {
      const seen = [await next()]
      while (!accept(seen.at(-1) as Record<string, unknown>)) seen.push(await next())
      return seen
    },
    closed,
  }
}
