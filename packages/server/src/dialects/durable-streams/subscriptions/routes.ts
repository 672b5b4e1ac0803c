/** The addresses of subscriptions, below those of streams: PROTOCOL.md 6 and 7 of Durable Streams. */
import { MillraceError } from '@millrace/protocol'
import { includes } from '../../../access/actions.ts'
import type { Caller } from '../../../access/caller.ts'
import type { FaceContext } from '../../../gateway/face.ts'
import type { Route, RouteRequest, RouteResponse } from '../../../gateway/route.ts'
import type { ClientWebhooks } from '../../../outgoing/client-webhooks.ts'
import { originOf } from '../respond.ts'
import { streamLog, streamPrefix } from '../stream-log.ts'
import type { WakeType } from './claims.ts'
import { describeStreams, describeSubscription } from './describe.ts'
import { SubscriptionError } from './errors.ts'
import { beginningOf } from './pattern.ts'
import {
  type AckInput,
  ackBody,
  type CreateInput,
  claimBody,
  createBody,
  idAndPath,
  idParam,
  type ReleaseInput,
  readAcknowledgement,
  readConfig,
  readPath,
  readReference,
  releaseBody,
  streamsBody,
} from './requests.ts'
import type { SubscriptionConfig } from './subscription.ts'
import type { Subscriptions } from './subscriptions.ts'
import { createToken } from './tokens.ts'

export interface SubscriptionRoutesContext
  extends Pick<FaceContext, 'authorize' | 'limits' | 'mayReadHistory' | 'hasAuthentication'> {
  readonly subscriptions: Subscriptions
  /** Where streams are, such as `/ds/streams/`. */
  readonly root: string
  readonly webhooks: ClientWebhooks
  readonly now: () => number
}

type Named = RouteRequest<{ readonly id: string }>
type Acking = RouteRequest<{ readonly id: string } & AckInput>

export function createSubscriptionRoutes(context: SubscriptionRoutesContext): Route[] {
  const handlers = createHandlers(context)
  const path = `${context.root}__ds/subscriptions/:id`
  const allow = ({ principal }: Caller) => {
    if (context.hasAuthentication && !includes(principal.may ?? [], 'subscription.manage')) throw new MillraceError('forbidden')
  }
  const managing = { params: idParam, allow, answers: { 200: 'text', 204: 'nothing' } } as const
  // The token of the wake is the credential.
  const working = { params: idParam, isPublic: true, method: 'post', answers: { 200: 'text', 204: 'nothing' } } as const
  const { create, find, remove, addStreams, removeStream, claim, release, readKeys } = handlers
  const acknowledge = (type: WakeType) => (request: Acking) => handlers.acknowledge(request, type)
  const routes: Route[] = [
    { ...managing, method: 'put', path, summary: 'Create a subscription', body: createBody, handle: create },
    { ...managing, method: 'get', path, summary: 'Read a subscription', handle: find },
    { ...managing, method: 'delete', path, summary: 'Delete a subscription', handle: remove },
    {
      ...managing,
      method: 'post',
      path: `${path}/streams`,
      summary: 'Add streams to a subscription',
      body: streamsBody,
      handle: addStreams,
    },
    {
      ...managing,
      method: 'delete',
      path: `${path}/streams/:path{.+}`,
      summary: 'Remove a stream from a subscription',
      params: idAndPath,
      handle: removeStream,
    },
    { ...managing, method: 'post', path: `${path}/claim`, summary: 'Claim a wake', body: claimBody, handle: claim },
    {
      ...working,
      path: `${path}/callback`,
      summary: 'Acknowledge a wake of a webhook',
      body: ackBody,
      handle: acknowledge('webhook'),
    },
    { ...working, path: `${path}/ack`, summary: 'Acknowledge a wake', body: ackBody, handle: acknowledge('pull-wake') },
    { ...working, path: `${path}/release`, summary: 'Release a wake', body: releaseBody, handle: release },
    {
      method: 'get',
      path: `${context.root}__ds/jwks.json`,
      summary: 'The keys that sign webhooks',
      isPublic: true,
      answers: { 200: 'text' },
      handle: readKeys,
    },
  ]
  return routes.map((route) => ({ ...route, handle: (request) => answering(() => route.handle(request)) }))
}

function createHandlers({ subscriptions, root, webhooks, now, ...checks }: SubscriptionRoutesContext) {
  const { authorize, limits, mayReadHistory } = checks
  const { signing } = subscriptions
  return {
    async create({ input, caller }: RouteRequest<{ id: string } & CreateInput>): Promise<RouteResponse> {
      const config = readConfig(input, webhooks)
      await requireStreams(caller, config)
      await limits.take('publishesPerSecond', caller)
      const { subscription, isNew } = await subscriptions.create(
        input.id,
        config,
        (originOf(caller) ?? 'http://localhost') + root,
      )
      return json(isNew ? 201 : 200, describeSubscription(subscription, await signing.open()))
    },
    async find({ input: { id } }: Named): Promise<RouteResponse> {
      return json(200, describeSubscription(await subscriptions.find(id), await signing.open()))
    },
    async remove({ input: { id } }: Named): Promise<RouteResponse> {
      await subscriptions.delete(id)
      return { status: 204 }
    },
    async addStreams({ input, caller }: RouteRequest<{ id: string; streams: string[] }>): Promise<RouteResponse> {
      const streams = input.streams.map(readPath)
      await requireStreams(caller, { streams })
      await subscriptions.addStreams(input.id, streams)
      return { status: 204 }
    },
    async removeStream({ input: { id, path } }: RouteRequest<{ id: string; path: string }>): Promise<RouteResponse> {
      await subscriptions.removeStream(id, readPath(path))
      return { status: 204 }
    },
    async claim({ input: { id, worker } }: RouteRequest<{ id: string; worker: string }>): Promise<RouteResponse> {
      const { subscription, tails } = await subscriptions.claim(id, worker)
      return json(200, {
        wake_id: subscription.wake?.id,
        generation: subscription.generation,
        token: createToken(subscription, now()),
        streams: describeStreams(subscription, tails),
        lease_ttl_ms: subscription.config.leaseMs,
      })
    },
    async acknowledge({ input, caller }: Acking, type: WakeType): Promise<RouteResponse> {
      const isNext = await subscriptions.acknowledge(input.id, type, readAcknowledgement(input, tokenOf(caller)))
      return json(200, { ok: true, next_wake: isNext })
    },
    async release({ input, caller }: RouteRequest<{ readonly id: string } & ReleaseInput>): Promise<RouteResponse> {
      await subscriptions.release(input.id, readReference(input, tokenOf(caller)))
      return { status: 204 }
    },
    async readKeys(): Promise<RouteResponse> {
      const { jwk } = await signing.open()
      return json(200, { keys: [jwk] }, { 'content-type': 'application/jwk-set+json', 'cache-control': 'public, max-age=300' })
    },
  }

  /** Names and offsets are all that a subscription tells: they are for those who may read the streams. */
  async function requireStreams(
    caller: Caller,
    { pattern, streams, wakeStream }: Pick<SubscriptionConfig, 'pattern' | 'streams' | 'wakeStream'>,
  ): Promise<void> {
    const channels = streams.map(streamLog)
    if (pattern !== undefined) channels.push(streamPrefix + beginningOf(pattern))
    for (const channel of channels) {
      await authorize(caller, 'channel.read', { session: undefined, channel })
      if (!mayReadHistory(caller.principal, channel)) throw new MillraceError('forbidden')
    }
    if (wakeStream !== undefined)
      await authorize(caller, 'channel.publish', { session: undefined, channel: streamLog(wakeStream) })
  }
}

/** Turns a SubscriptionError into a response. Other errors are the gateway's. */
async function answering(act: () => Promise<RouteResponse>): Promise<RouteResponse> {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof SubscriptionError)) throw error
    const { code, message, details, status } = error
    return json(status, { error: { code, message, ...details } })
  }
}

function json(status: number, value: unknown, headers: Record<string, string> = {}): RouteResponse {
  return { status, text: JSON.stringify(value), headers }
}

function tokenOf({ headers }: Caller): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.get('authorization') ?? '')?.[1]
}
