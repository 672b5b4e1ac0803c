/** The server of a worker that is notified of wakes. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

export interface Wake {
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly subscription_id: string
  readonly wake_id: string
  readonly generation: number
  readonly streams: readonly {
    readonly path: string
    readonly acked_offset: string
    readonly tail_offset: string
    readonly has_pending: boolean
  }[]
  readonly callback_url: string
  readonly callback_token: string
}

export interface Receiver {
  readonly url: string
  readonly received: readonly Wake[]
  /** The next one that has not been taken; waits for it. */
  next(): Promise<Wake>
}

export type Respond = (response: ServerResponse, wake: Wake) => void

export const saying =
  (body: object, status = 200): Respond =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))

export async function startReceiver(respond: Respond = saying({})): Promise<Receiver> {
  const received: Wake[] = []
  let taken = 0
  let notify = () => {}
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const wake = { ...(JSON.parse(body) as Wake), headers: request.headers, text: body }
      received.push(wake)
      respond(response, wake)
      notify()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => server.close().closeAllConnections())
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    async next() {
      while (received.length <= taken)
        await new Promise<void>((resolve) => {
          notify = resolve
        })
      return received[taken++] as Wake
    },
  }
}
