/**
 * The connection of one session as a pure state machine: `(state, input, context) → state and effects`.
 * Time and chance come in with the context, so its tests need no network, timers or mocks.
 *
 * There is at most one stream that is read and one that shall replace it. A stream is named by a
 * number; input from any other number is stale and ignored.
 *
 * A stream that is replaced is closed when the other has brought everything up to where the reader is. One that
 * has not opened after `slowMs` is said to be unfit, so that the next transport is opened beside it; of the two
 * the first that opens is read.
 */
import { handedOver, isFinal, MillraceError } from '../errors.ts'
import { backoffMs, type Timings } from '../timings.ts'
import type { TransportName } from '../transports/transport.ts'
import { beat, createPace, type Pace, receive } from './pace.ts'

/** A transport is unfit after this number of silences, or of late heartbeats, in a row. */
const silencesMax = 2
const lateBeatsMax = 2

export interface Stream extends Pace {
  readonly id: number
  readonly transport: TransportName
  /** When it was asked for: the wait for its first bytes counts from there. `Infinity` while it is being prepared. */
  readonly openedAt: number
  /** Its first bytes are in. */
  readonly isOpen: boolean
  /** They were not in time for nothing else to be tried. */
  readonly isSlow: boolean
  readonly hasDelivered: boolean
}

export interface LinkState {
  readonly phase: 'connecting' | 'live' | 'catching-up' | 'reconnecting' | 'offline' | 'closed'
  /** What is asked for; the stream may still be of another one. */
  readonly target: TransportName
  readonly stream?: Stream | undefined
  /** On its way to replace `stream`. */
  readonly next?: Stream | undefined
  /** Attempts that failed since anything was delivered. */
  readonly attempt: number
  /** When to try again. */
  readonly retryAt?: number | undefined
  /** What the server last asked for by `retry:`. */
  readonly retryMs?: number | undefined
  readonly isOffline: boolean
  /** The reader has as much as it may hold; nothing is opened until it has taken some. */
  readonly isPaused: boolean
  /** Streams opened so far. */
  readonly count: number
  /** Streams one after another that opened, perhaps said something, and were silent then: a proxy that holds back. */
  readonly silences: number
  readonly error?: MillraceError | undefined
}

export type LinkInput =
  | { readonly type: 'start' | 'tick' | 'online' | 'offline' | 'visible' | 'pause' | 'resume' | 'close' }
  /** Somebody reads who is elsewhere: the stream has to begin again where all of them are served. */
  | { readonly type: 'rejoin' }
  | { readonly type: 'switch'; readonly to: TransportName }
  /** Between `preparing` and `begun` something else has to happen before it is asked for. `caught-up`: it is where the reader is. */
  | { readonly type: 'preparing' | 'begun' | 'opened' | 'caught-up' | 'delivered' | 'stale'; readonly stream: number }
  /** `clock`: the server's, of a heartbeat. */
  | { readonly type: 'received'; readonly stream: number; readonly clock?: number | undefined }
  | { readonly type: 'retry'; readonly stream: number; readonly retryMs: number }
  | { readonly type: 'failed'; readonly stream: number; readonly error: MillraceError }

export type LinkEffect =
  | { readonly type: 'open'; readonly stream: number; readonly transport: TransportName }
  /** `isDead`: what carries it is not to be trusted either, where it is shared. */
  | { readonly type: 'close'; readonly stream: number; readonly isDead: boolean }
  /** This transport did not come up, in time or at all, or hands on in bursts. */
  | { readonly type: 'unfit'; readonly transport: TransportName; readonly error: MillraceError }
  /** It came up after all, before any other. */
  | { readonly type: 'fit'; readonly transport: TransportName }
  /** It cannot go on; the reader gets the error. */
  | { readonly type: 'end'; readonly error: MillraceError }

export interface LinkContext {
  readonly now: number
  /** How long this clock stood still since bytes of a stream last came: some do while the machine sleeps. */
  readonly sleptMs: number
  /** From 0 to 1. */
  readonly random: number
  readonly timings: Timings
}

export interface LinkStep {
  readonly state: LinkState
  readonly effects: readonly LinkEffect[]
}

export function createLinkState(target: TransportName, isOffline = false): LinkState {
  return { phase: 'connecting', target, attempt: 0, isOffline, isPaused: false, count: 0, silences: 0 }
}

/** When the next `tick` is due; `Infinity` while nothing is being waited for. */
export function nextTickAt({ stream, next, retryAt = Number.POSITIVE_INFINITY }: LinkState, timings: Timings): number {
  return Math.min(retryAt, ...[stream, next].map((one) => (one ? deadlineOf(one, timings) : Number.POSITIVE_INFINITY)))
}

export function stepLink(state: LinkState, input: LinkInput, context: LinkContext): LinkStep {
  if (state.phase === 'closed') return stay(state)
  if ('stream' in input) return stepStream(state, input, context)
  switch (input.type) {
    case 'tick':
      return tick(state, context)
    case 'switch':
      return open({ ...state, target: input.to }, context)
    case 'online':
      // Another network: what was open may be dead without a word, and to ask again costs little.
      return reopen({ ...state, isOffline: false, attempt: 0 }, context, true)
    case 'offline':
      return stay({ ...state, isOffline: true, phase: state.phase === 'reconnecting' ? 'offline' : state.phase })
    case 'visible':
      return isFresh(state, context) ? stay(state) : reopen(state, context, true)
    case 'pause':
      return { state: { ...without(state), isPaused: true, phase: 'catching-up' }, effects: closeAll(state, false) }
    case 'rejoin':
      return reopen(state, context, false)
    case 'start':
    case 'resume':
      return open({ ...state, isPaused: false }, context)
    case 'close':
      return { state: { ...without(state), phase: 'closed' }, effects: closeAll(state, false) }
  }
}

function stepStream(state: LinkState, input: Extract<LinkInput, { stream: number }>, context: LinkContext): LinkStep {
  const isNext = input.stream === state.next?.id
  const known = isNext ? state.next : state.stream
  if (known === undefined || known.id !== input.stream) return stay(state)
  const { now, timings } = context
  const stream = receive(known, now, timings.lateMs)
  switch (input.type) {
    case 'preparing':
      return stay(put(state, { ...stream, openedAt: Number.POSITIVE_INFINITY }))
    case 'begun':
      return stay(put(state, { ...stream, openedAt: now }))
    case 'received':
      return receiveHeartbeat(state, stream, input.clock, context)
    case 'retry':
      return stay({ ...state, retryMs: input.retryMs })
    case 'delivered': {
      const delivered = { ...put(state, { ...stream, hasDelivered: true }), attempt: 0 }
      return isNext ? read(delivered, true) : stay(delivered)
    }
    case 'opened': {
      if (stream.isOpen) return stay(put(state, stream))
      const opened = put(state, { ...stream, isOpen: true })
      // The old one is read until the new one is where it is.
      const { state: next, effects } = isNext && state.stream?.isOpen ? stay(opened) : read(opened, isNext)
      const fit: LinkEffect[] = stream.isSlow ? [{ type: 'fit', transport: stream.transport }] : []
      return { state: next, effects: [...effects, ...fit] }
    }
    case 'caught-up':
      return isNext ? read(state, true) : stay(state)
    case 'stale':
      return reopen(state, context, false)
    case 'failed':
      return fail(state, known, input.error, context)
  }
}

function receiveHeartbeat(state: LinkState, known: Stream, clock: number | undefined, { now, timings }: LinkContext): LinkStep {
  if (clock === undefined) return stay(put(state, known))
  const stream = beat(known, clock, now, timings.lateMs)
  const error = new MillraceError('silent', { message: 'A proxy holds events back.' })
  return {
    state: put({ ...state, silences: 0 }, { ...stream, lateBeats: stream.lateBeats % lateBeatsMax }),
    effects: stream.lateBeats < lateBeatsMax ? [] : [{ type: 'unfit', transport: stream.transport, error }],
  }
}

/** What has opened is read from now on; where it is the next one, the one before it is closed. */
function read({ stream, next, ...state }: LinkState, isNext: boolean): LinkStep {
  const [own, later] = isNext ? [next, undefined] : [stream, next]
  return {
    state: { ...state, phase: 'live', stream: own, next: later, retryAt: undefined, error: undefined },
    effects: isNext && stream !== undefined ? [closing(stream)] : [],
  }
}

function tick(state: LinkState, context: LinkContext): LinkStep {
  for (const stream of [state.next, state.stream]) {
    if (stream === undefined || deadlineOf(stream, context.timings) > context.now) continue
    const error = new MillraceError('silent')
    if (mayBeSlow(stream, context.timings)) {
      const effects: LinkEffect[] = [{ type: 'unfit', transport: stream.transport, error }]
      return { state: put(state, { ...stream, isSlow: true }), effects }
    }
    const { state: failed, effects } = fail(state, stream, error, context)
    return { state: failed, effects: [closing(stream, true), ...effects] }
  }
  return state.retryAt !== undefined && state.retryAt <= context.now ? open(state, context) : stay(state)
}

/** Opens the stream that is missing: the first one, or one of the transport that is asked for now. */
function open(state: LinkState, { now }: LinkContext): LinkStep {
  if (state.isPaused) return stay(state)
  const effects: LinkEffect[] = state.next === undefined ? [] : [closing(state.next)]
  const base = { ...state, next: undefined, retryAt: undefined }
  if (state.stream?.transport === state.target)
    return { state: { ...base, phase: state.stream.isOpen ? 'live' : state.phase }, effects }
  const id = state.count + 1
  const stream: Stream = {
    ...createPace(now),
    id,
    transport: state.target,
    openedAt: now,
    isOpen: false,
    isSlow: false,
    hasDelivered: false,
  }
  const opening: LinkEffect = { type: 'open', stream: id, transport: state.target }
  // A stream that never opened has nothing worth keeping; one that is slow may yet be the first.
  if (state.stream?.isOpen || state.stream?.isSlow) {
    const phase = state.stream.isOpen ? 'catching-up' : state.phase
    return { state: { ...base, count: id, next: stream, phase }, effects: [...effects, opening] }
  }
  if (state.stream !== undefined) effects.push(closing(state.stream))
  const phase = state.count === 0 ? 'connecting' : ['live', 'catching-up'].includes(state.phase) ? 'catching-up' : 'reconnecting'
  return { state: { ...base, count: id, stream, phase }, effects: [...effects, opening] }
}

/** Closes every stream and opens one at once, from the position reached. */
function reopen(state: LinkState, context: LinkContext, isDead: boolean): LinkStep {
  const { state: opened, effects } = open(without(state), context)
  return { state: opened, effects: [...closeAll(state, isDead), ...effects] }
}

function fail(state: LinkState, stream: Stream, error: MillraceError, context: LinkContext): LinkStep {
  if (error === handedOver) return reopen(state, context, false)
  const { now, random, timings } = context
  const other = stream === state.next ? state.stream : state.next
  const effects: LinkEffect[] = []
  const isOver = isFinal(error)
  if (isOver && other === undefined) {
    return { state: { ...without(state), phase: 'closed', error }, effects: [{ type: 'end', error }] }
  }
  const silences = error.code === 'silent' && stream.isOpen ? state.silences + 1 : state.silences
  // Something on the way, which may let another transport through, or this one later.
  const isRefused = error.code === 'refused'
  const isTried = stream.openedAt !== Number.POSITIVE_INFINITY
  const didNotOpen = isTried && !stream.isOpen && (error.code === 'silent' || (stream.transport === 'ws' && state.attempt > 0))
  if (didNotOpen || isRefused || silences === silencesMax) effects.push({ type: 'unfit', transport: stream.transport, error })
  const isSettled = stream.hasDelivered || (stream.isOpen && now - stream.openedAt >= timings.backoffLongestMs)
  const attempt = isSettled ? 0 : state.attempt
  const hints = { retryMs: state.retryMs, retryAfterMs: error.retryAfterMs }
  const slowMs = isRefused ? (timings.backoffLongestMs * (1 + random)) / 2 : 0
  const retryAt = now + Math.max(slowMs, backoffMs(attempt, random, timings, hints))
  const failed = {
    ...state,
    silences: silences % silencesMax,
    stream: other,
    next: undefined,
    attempt: attempt + 1,
    retryAt,
    error,
  }
  if (other === undefined) return { state: { ...failed, phase: state.isOffline ? 'offline' : 'reconnecting' }, effects }
  // The one that is left carries on; one that cannot be had is not asked for again.
  const target = isOver ? other.transport : state.target
  const isWaiting = other.transport !== target
  return {
    state: { ...failed, target, retryAt: isWaiting ? retryAt : undefined, phase: other.isOpen ? 'live' : 'reconnecting' },
    effects,
  }
}

function deadlineOf(stream: Stream, timings: Timings): number {
  if (stream.isOpen) return stream.receivedAt + timings.silenceMs
  return stream.openedAt + (mayBeSlow(stream, timings) ? timings.slowMs : timings.firstBytesMs)
}

/** There is nothing to try beside long-poll. */
function mayBeSlow({ isOpen, isSlow, transport }: Stream, { slowMs, firstBytesMs }: Timings): boolean {
  return !isOpen && !isSlow && transport !== 'poll' && slowMs < firstBytesMs
}

function put(state: LinkState, stream: Stream): LinkState {
  return { ...state, [stream.id === state.next?.id ? 'next' : 'stream']: stream }
}

/** Not silent for too long, also by the clock on the wall: a machine that slept may have lost it without a word. */
function isFresh({ stream }: LinkState, { now, sleptMs, timings }: LinkContext): boolean {
  return stream !== undefined && now - stream.receivedAt + Math.max(0, sleptMs) < timings.silenceMs
}

function without(state: LinkState): LinkState {
  return { ...state, stream: undefined, next: undefined, retryAt: undefined }
}

function closeAll({ stream, next }: LinkState, isDead: boolean): LinkEffect[] {
  return [stream, next].filter((one) => one !== undefined).map((one) => closing(one, isDead))
}

function closing({ id }: Stream, isDead = false): LinkEffect {
  return { type: 'close', stream: id, isDead }
}

function stay(state: LinkState): LinkStep {
  return { state, effects: [] }
}
