/** Notifies workers of wakes: with a signed request to their address, or with an event in the stream that they read. */
import type { Engine } from '../../../log/log.ts'
import type { SendRequest } from '../../../outgoing/request.ts'
import { isJson } from '../state.ts'
import type { StreamStore } from '../store.ts'
import type { Notice } from './changes.ts'
import { describeStreams } from './describe.ts'
import { type Signing, signatureOf } from './signing.ts'
import type { Subscription } from './subscription.ts'
import { tailsOf } from './tails.ts'
import { createToken } from './tokens.ts'
import type { Wakes } from './wakes.ts'

export interface NotifyOptions {
  readonly engine: Engine
  readonly store: Pick<StreamStore, 'open' | 'append'>
  readonly signing: Signing
  readonly send: SendRequest
  readonly now: () => number
}

/** A receiver that needs longer responds, and calls back when it is done. */
const attemptMsMax = 30_000
/** Of a response, of which only `done` is read. */
const responseBytesMax = 64 * 1024

/** Rejects only as the engine does. */
export function createNotify(
  { engine, store, signing, send, now }: NotifyOptions,
  wakes: Pick<Wakes, 'succeed' | 'fail'>,
): (notice: Notice) => Promise<void> {
  return async ({ subscription, path }) => {
    const { id, wake, config } = subscription
    if (wake === undefined) return
    const { isReceived, done } = config.type === 'webhook' ? await post(subscription) : await announce(subscription, path)
    await (isReceived ? wakes.succeed(id, wake.id, done) : wakes.fail(id, wake.id))
  }

  interface Outcome {
    readonly isReceived: boolean
    /** What the receiver has processed already. */
    readonly done?: ReadonlyMap<string, string>
  }

  async function post(subscription: Subscription): Promise<Outcome> {
    const { id, wake, generation, config, root } = subscription
    const key = await signing.open()
    const tails = await tailsOf(engine, subscription, now())
    const body = JSON.stringify({
      subscription_id: id,
      wake_id: wake?.id,
      generation,
      streams: describeStreams(subscription, tails),
      callback_url: `${root}__ds/subscriptions/${encodeURIComponent(id)}/callback`,
      callback_token: createToken(subscription, now()),
    })
    const headers = { 'content-type': 'application/json', 'webhook-signature': signatureOf(key, body, now()) }
    const timeoutMs = Math.min(config.leaseMs, attemptMsMax)
    try {
      const url = new URL(config.webhook?.url as string)
      const { status, text } = await send(url, { method: 'POST', headers, body, timeoutMs, bytesMax: responseBytesMax })
      if (status < 200 || status > 299) return { isReceived: false }
      if (!saysDone(text)) return { isReceived: true }
      return { isReceived: true, done: new Map([...tails].map(([name, { offset }]) => [name, offset])) }
    } catch {
      // It is tried again, and the state of the subscription says so.
      return { isReceived: false }
    }
  }

  /** False while the application has not created the stream. */
  async function announce({ id, generation, config }: Subscription, path: string): Promise<Outcome> {
    const name = config.wakeStream as string
    try {
      const { state } = await store.open(name, false)
      const event = JSON.stringify({ type: 'wake', subscription_id: id, stream: path, generation, ts: now() })
      const body = Buffer.from(isJson(state.contentType) ? event : `${event}\n`)
      await store.append(name, { contentType: state.contentType, hasBody: true, isClosing: false }, body)
      return { isReceived: true }
    } catch {
      return { isReceived: false }
    }
  }
}

function saysDone(text: string): boolean {
  try {
    return (JSON.parse(text) as { done?: unknown } | null)?.done === true
  } catch {
    return false
  }
}
