/** The streams that clients write: each a log of its own, on any engine, for any number of servers. */
import type { Engine } from '../../log/log.ts'
import { type AppendRequest, type Decision, decideAppend } from './append.ts'
import { dataEvent, toEvents } from './content.ts'
import { gone, invalid, notFound, StreamError } from './errors.ts'
import { expiryOf, findForkPoint, freeStream, isForked, markFork, requireSource } from './forks.ts'
import { retryChange } from './last-event.ts'
import { createQueues } from './queues.ts'
import type { CreateRequest } from './requests.ts'
import { type Found, isOver, mediaTypeOf, mustNoteRead, type StreamState } from './state.ts'
import { changeStream, findStream, streamLog } from './stream-log.ts'
import { toView } from './stream-view.ts'
import { endOf, formatPoint, type View } from './view.ts'

export interface StreamInfo {
  readonly view: View
  readonly found: Found
  readonly state: StreamState
  /** Where the next append goes. */
  readonly tail: string
}

export interface StreamStore {
  /** Throws a StreamError: 404, or 410 where forks still read it. `isRead` keeps a stream with a TTL for longer. */
  open(name: string, isRead: boolean, last?: Found): Promise<StreamInfo>
  create(name: string, request: CreateRequest, body: Uint8Array): Promise<StreamInfo & { readonly isNew: boolean }>
  append(name: string, request: AppendRequest, body: Uint8Array): Promise<StreamInfo & { readonly decision: Decision }>
  delete(name: string): Promise<void>
  watch(name: string, bell: () => void): () => void
}

const defaultType = 'application/octet-stream'

export function createStreamStore(engine: Engine, now: () => number): StreamStore {
  const inTurn = createQueues()
  return {
    async open(name, isRead, last) {
      const found = await requireStream(name, last)
      if (isRead && mustNoteRead(found.state, now()))
        // Where the head has moved, another read or write was noted.
        await changeStream(engine, { name, found, state: { ...found.state, usedAt: now() } })
      return describe(found)
    },
    create: (name, request, body) => inTurn(name, () => retryChange(() => create(name, request, body))),
    append: (name, request, body) => inTurn(name, () => retryChange(() => append(name, request, body))),
    delete: (name) =>
      inTurn(name, async () => {
        await retryChange(async () => {
          const found = await requireStream(name)
          return changeStream(engine, { name, found, state: { ...found.state, isDeleted: true } })
        })
        await freeStream(engine, name, now())
      }),
    watch: (name, bell) => engine.watch(streamLog(name), bell),
  }

  async function requireStream(name: string, last?: Found): Promise<Found> {
    const found = await findStream(engine, name, last)
    if (found === undefined) throw notFound()
    if (!isOver(found.state, now())) return found
    throw (await isForked(engine, name, now())) ? gone() : notFound()
  }

  async function describe(found: Found): Promise<StreamInfo> {
    const view = await toView(engine, found)
    return { view, found, state: found.state, tail: formatPoint(view, endOf(view)) }
  }

  async function create(name: string, request: CreateRequest, body: Uint8Array) {
    const found = await findStream(engine, name)
    if (found !== undefined && !isOver(found.state, now())) {
      if (!isSameStream(found.state, request)) throw new StreamError(409, 'The stream exists with another configuration.')
      return { ...(await describe(found)), isNew: false }
    }
    if (found !== undefined && (await isForked(engine, name, now())))
      throw new StreamError(409, 'The stream was deleted, and forks still read it.')
    const { first, ...config } = await configure(name, request)
    const events = toEvents(config.contentType, body, true)
    const data = first === undefined ? events : [dataEvent(first), ...events]
    const base = found?.head.offset ?? 0
    const state: StreamState = {
      ...config,
      usedAt: now(),
      base,
      tail: base + data.length,
      ...(request.isClosed && { isClosed: true }),
    }
    const created = await changeStream(engine, { name, found, state, data, ...(found && { keep: data.length + 1 }) })
    return created && { ...(await describe(created)), isNew: true }
  }

  /** The state of a new stream, but for its place in the log. */
  async function configure(name: string, { contentType, ttl, expiresAt, fork }: CreateRequest) {
    const asked = { ...(ttl !== undefined && { ttl }), ...(expiresAt !== undefined && { expiresAt }) }
    if (fork === undefined) return { contentType: contentType ?? defaultType, ...asked, first: undefined }
    if (fork.from === name) throw invalid('A stream is not forked from itself.')
    const source = await requireSource(engine, fork.from, now())
    if (contentType !== undefined && mediaTypeOf(contentType) !== mediaTypeOf(source.state.contentType))
      throw new StreamError(409, `The source stream has the type ${source.state.contentType}.`)
    const { inherits, first } = await findForkPoint(engine, source, fork)
    await markFork(engine, fork.from, name)
    // Again: one that was deleted before the mark was there may be freed.
    const { head } = await requireSource(engine, fork.from, now())
    if (head.epoch !== source.head.epoch) throw new StreamError(404, 'The source stream does not exist.')
    const { from, offset, subOffset } = fork
    return {
      contentType: contentType ?? source.state.contentType,
      ...expiryOf(asked, source.state),
      fork: {
        from,
        ...(offset !== undefined && { offset }),
        ...(subOffset > 0 && { subOffset }),
        ...(ttl === undefined && expiresAt === undefined && { expiresWithSource: true as const }),
        inherits,
      },
      first,
    }
  }

  async function append(name: string, request: AppendRequest, body: Uint8Array) {
    const found = await requireStream(name)
    const before = await describe(found)
    const decision = decideAppend(found.state, request, before.tail)
    if (decision.isRepeated) return { ...before, decision }
    const data = toEvents(found.state.contentType, body, false)
    const tail = data.length === 0 ? found.state.tail : found.head.offset + data.length
    const state = { ...found.state, ...decision.changes, tail, usedAt: now() }
    const changed = await changeStream(engine, { name, found, state, data })
    return changed && { ...(await describe(changed)), decision }
  }
}

/** Whether a request to create a stream describes the one that exists. */
function isSameStream(state: StreamState, { contentType, ttl, expiresAt, isClosed, fork }: CreateRequest): boolean {
  const known = state.fork
  const own = known?.expiresWithSource ? { ttl: undefined, expiresAt: undefined } : state
  return (
    (contentType === undefined && known !== undefined
      ? true
      : mediaTypeOf(contentType ?? defaultType) === mediaTypeOf(state.contentType)) &&
    ttl === own.ttl &&
    expiresAt === own.expiresAt &&
    isClosed === (state.isClosed === true) &&
    fork?.from === known?.from &&
    // Left out, it was the end of the source then.
    (fork?.offset === undefined || fork.offset === known?.offset) &&
    (fork?.subOffset ?? 0) === (known?.subOffset ?? 0)
  )
}
