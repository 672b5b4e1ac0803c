/** The client in a worker of a browser: asks, reads to the end, and tells what it read. */
import { connect } from '@millrace/client'

export interface Order {
  readonly url: string
  readonly transport: 'sse' | 'ws'
}

const scope = globalThis as unknown as { onmessage: (event: { data: Order }) => Promise<void>; postMessage(text: string): void }

scope.onmessage = async ({ data: { url, transport } }) => {
  const client = connect(url, { transport })
  const session = client.session()
  const run = session.run({ query: 'count' })
  let text = ''
  for await (const event of session.events()) {
    if (event.type === 'message') text += event.data.text
    if (event.type === 'stream_end' && event.data.run === run.id) break
  }
  // The events may be here before the answer to the question is.
  await run
  client.close()
  scope.postMessage(text)
}
