/** Streams that clients create, write and read: `/ds/streams/` and their name. */
import { MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { Caller } from '../../access/caller.ts'
import type { FaceContext } from '../../gateway/face.ts'
import type { Route, RouteRequest, RouteResponse } from '../../gateway/route.ts'
import type { AppendRequest, Decision } from './append.ts'
import { bodyBytesMax, readBody } from './content.ts'
import { readAppend, readCreate } from './requests.ts'
import { answering, originOf, type ReadInput, type RespondContext, readQuery, respond, toResponse } from './respond.ts'
import type { StreamState } from './state.ts'
import type { StreamInfo, StreamStore } from './store.ts'
import { streamLog } from './stream-log.ts'
import type { Subscriptions } from './subscriptions/subscriptions.ts'

/** As the reference server has it, for clients whose addresses are made for that. */
export const referenceRoot = '/ds/v1/stream/'

export interface StreamRoutesContext extends FaceContext, RespondContext {
  /** What comes before the name of a stream, such as `/ds/streams/`. */
  readonly root: string
  readonly store: StreamStore
  readonly subscriptions: Pick<Subscriptions, 'noteAppend' | 'noteDelete'> | undefined
}

const params = z.object({ name: z.string() })

type Named = RouteRequest<{ readonly name: string }>
type Reading = RouteRequest<ReadInput & { readonly name: string }>

export function createStreamRoutes(context: StreamRoutesContext): Route[] {
  const { read, create, append, remove } = createHandlers(context)
  const shared = { path: `${context.root}:name{.+}`, params, answers: { 200: 'bytes', 204: 'nothing' } } as const
  const writing = { ...shared, takesBytes: true } as const
  return [
    {
      ...shared,
      method: 'get',
      summary: 'Read a stream',
      isForStopping: true,
      query: readQuery,
      handle: (request: Reading) => answering(() => read(request)),
    },
    { ...writing, method: 'put', summary: 'Create a stream', handle: (request: Named) => answering(() => create(request)) },
    { ...writing, method: 'post', summary: 'Append to a stream', handle: (request: Named) => answering(() => append(request)) },
    { ...shared, method: 'delete', summary: 'Delete a stream', handle: (request: Named) => answering(() => remove(request)) },
  ]
}

function createHandlers(context: StreamRoutesContext) {
  const { store, subscriptions, root } = context
  const { requireReader, requireWriter, bodyOf } = createChecks(context)
  return { read, create, append, remove }

  async function read(request: Reading): Promise<RouteResponse> {
    const { name } = request.input
    await requireReader(request.caller, name)
    const { view, state, found } = await store.open(name, !request.isHead)
    let last = found
    const source = {
      name,
      async open() {
        const info = await store.open(name, true, last)
        last = info.found
        return info.view
      },
      watch: (bell: () => void) => store.watch(name, bell),
      // Half of it, so that the read is noted before the stream ends.
      waitMsMax: state.ttl === undefined ? undefined : Math.max(100, state.ttl * 500),
    }
    const response = await respond(context, request, { source, view, log: streamLog(name) })
    return request.isHead && 'bytes' in response
      ? { ...response, headers: { ...response.headers, ...expiryOf(state) } }
      : response
  }

  async function create(request: Named): Promise<RouteResponse> {
    const { input, caller } = request
    const { fork, ...described } = readCreate(caller.headers)
    await requireWriter(caller, input.name)
    const from = fork && nameOf(root, fork.from)
    if (from !== undefined) await requireReader(caller, from)
    const body = await bodyOf(request)
    const asked = { ...described, ...(fork && from !== undefined && { fork: { ...fork, from } }) }
    const { isNew, ...info } = await store.create(input.name, asked, body)
    if (isNew) await subscriptions?.noteAppend(input.name)
    const headers = {
      'content-type': info.state.contentType,
      ...offsetOf(info),
      ...(isNew && { location: (originOf(caller) ?? '') + caller.path }),
    }
    return toResponse({ status: isNew ? 201 : 200, headers })
  }

  async function append(request: Named): Promise<RouteResponse> {
    const { input, caller } = request
    await requireWriter(caller, input.name)
    const body = await bodyOf(request)
    const asked = readAppend(caller.headers, body.length > 0)
    const { decision, ...info } = await store.append(input.name, asked, body)
    // Also of a repeated request: the server that got it first may have died before it came to this.
    await subscriptions?.noteAppend(input.name)
    const isWritten = !decision.isRepeated && asked.producer !== undefined && asked.hasBody
    return toResponse({ status: isWritten ? 200 : 204, headers: { ...offsetOf(info), ...producerOf(asked, decision) } })
  }

  async function remove({ input: { name }, caller }: Named): Promise<RouteResponse> {
    await requireWriter(caller, name)
    await store.delete(name)
    await subscriptions?.noteDelete(name)
    return toResponse({ status: 204, headers: {} })
  }
}

/** Checks before anything is read or written. */
function createChecks({ authorize, limits, mayReadHistory }: StreamRoutesContext) {
  return {
    async requireReader(caller: Caller, name: string): Promise<void> {
      const channel = streamLog(name)
      await authorize(caller, 'channel.read', { session: undefined, channel })
      // Every read of a stream reads its history.
      if (!mayReadHistory(caller.principal, channel)) throw new MillraceError('forbidden')
    },
    async requireWriter(caller: Caller, name: string): Promise<void> {
      await authorize(caller, 'channel.publish', { session: undefined, channel: streamLog(name) })
      await limits.take('publishesPerSecond', caller)
    },
    async bodyOf({ caller, openBody }: Named): Promise<Uint8Array> {
      const length = caller.headers.get('content-length')
      limits.requireBody(caller.address, Math.min(length === null ? bodyBytesMax : Number(length) || 0, bodyBytesMax))
      return readBody(openBody())
    },
  }
}

/** `Stream-Forked-From` is the path of the source; clients leave out its beginning, or all but the name after a slash. */
function nameOf(root: string, source: string): string {
  const short = root === referenceRoot ? [root.slice('/ds'.length)] : []
  const prefix = [root, ...short, '/'].find((each) => source.startsWith(each)) ?? ''
  const path = source.slice(prefix.length)
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

function offsetOf({ tail, state }: Pick<StreamInfo, 'tail' | 'state'>): Record<string, string> {
  return { 'stream-next-offset': tail, ...(state.isClosed && { 'stream-closed': 'true' }) }
}

function expiryOf({ ttl, expiresAt }: StreamState): Record<string, string> {
  return {
    ...(ttl !== undefined && { 'stream-ttl': `${ttl}` }),
    ...(expiresAt !== undefined && { 'stream-expires-at': expiresAt }),
  }
}

/** The last request of the producer that was accepted. */
function producerOf({ producer }: AppendRequest, decision: Decision): Record<string, string> {
  const last = decision.isRepeated ? decision.producer : producer
  return last === undefined ? {} : { 'producer-epoch': `${last[1]}`, 'producer-seq': `${last[2]}` }
}
