/** Performs the effects of link-state.ts: one source's streams, timer and reader. Every decision is made there. */
import { type Gap, parsePosition } from '@millrace/protocol'
import { MillraceError } from '../errors.ts'
import { isHostOffline } from '../host.ts'
import { toError } from '../http.ts'
import type { Inspectors } from '../inspect.ts'
import type { Gauges } from '../status.ts'
import type { Timings } from '../timings.ts'
import { deadConnection } from '../transports/socket-connection.ts'
import type { ReadRequest, Transport, TransportName } from '../transports/transport.ts'
import { createLinkState, type LinkEffect, type LinkInput, type LinkState, nextTickAt, stepLink } from './link-state.ts'
import type { SharedReader } from './reader-group.ts'

export interface LinkOptions {
  readonly source: ReadRequest
  readonly reader: SharedReader
  readonly transports: Readonly<Record<TransportName, Transport>>
  readonly timings: Timings
  /** Runs before a stream is requested; undefined when there is nothing to wait for. Its wait does not count against the transport. */
  readonly prepare: () => Promise<unknown> | undefined
  /** Returns the transport to use now. */
  readonly choose: () => TransportName
  readonly onUnfit: (transport: TransportName, error: MillraceError) => void
  readonly onFit: (transport: TransportName) => void
  readonly onState: (state: LinkState) => void
  readonly gauges: Gauges
  /** Called when events were lost. */
  readonly onLost: () => void
  readonly inspectors: Pick<Inspectors, 'notify'>
}

export class Link {
  readonly #options: LinkOptions
  readonly #streams = new Map<number, AbortController>()
  #state: LinkState
  #timer: ReturnType<typeof setTimeout> | undefined
  #timerAt = Number.POSITIVE_INFINITY
  /** How far the system clock was ahead of the monotonic clock when a stream last received bytes. */
  #clockLeadMs = clockLeadMs()

  constructor(options: LinkOptions) {
    this.#options = options
    this.#state = createLinkState(options.choose(), isHostOffline())
  }

  get state(): LinkState {
    return this.#state
  }

  dispatch(input: LinkInput): void {
    const before = this.#state
    if ('stream' in input) this.#clockLeadMs = clockLeadMs()
    const sleptMs = clockLeadMs() - this.#clockLeadMs
    const { timings, onState } = this.#options
    const { state, effects } = stepLink(before, input, { now: performance.now(), sleptMs, random: Math.random(), timings })
    this.#state = state
    for (const effect of effects) this.#perform(effect)
    this.#schedule()
    if (hasChanged(before, this.#state)) onState(this.#state)
  }

  #perform(effect: LinkEffect): void {
    const { onUnfit, onFit, reader } = this.#options
    switch (effect.type) {
      case 'open':
        return this.#open(effect.stream, effect.transport)
      case 'close': {
        const abort = this.#streams.get(effect.stream)
        this.#streams.delete(effect.stream)
        return abort?.abort(effect.isDead ? deadConnection : undefined)
      }
      case 'unfit':
        return onUnfit(effect.transport, effect.error)
      case 'fit':
        return onFit(effect.transport)
      case 'end':
        return reader.end(effect.error)
    }
  }

  #open(stream: number, transport: TransportName): void {
    const { prepare, reader } = this.#options
    const abort = new AbortController()
    this.#streams.set(stream, abort)
    const ready = prepare()
    const { signal } = abort
    if (ready === undefined && reader.reached !== 'now') return this.#read(stream, transport, signal)
    // In a microtask: dispatch() is not reentrant, and this runs inside one.
    queueMicrotask(() => this.dispatch({ type: 'preparing', stream }))
    this.#locate(ready, signal).then(
      () => {
        if (signal.aborted) return
        this.dispatch({ type: 'begun', stream })
        this.#read(stream, transport, signal)
      },
      (error: unknown) => !signal.aborted && this.#fail(stream, toError(error)),
    )
  }

  /** Resolves `now` to a position once: otherwise a cut before the first event would skip what was appended meanwhile. */
  async #locate(ready: Promise<unknown> | undefined, signal: AbortSignal): Promise<void> {
    const { source, reader, transports } = this.#options
    await ready
    if (reader.reached !== 'now' || signal.aborted) return
    const found = Promise.withResolvers<string>()
    const done = new AbortController()
    const ignore = () => {}
    transports.poll.open({
      source,
      from: 'now',
      signal: AbortSignal.any([signal, done.signal]),
      on: { opened: ignore, received: ignore, retry: ignore, event: ignore, reached: found.resolve, failed: found.reject },
    })
    const position = await found.promise
    done.abort()
    reader.skipTo(undefined, position)
  }

  #read(stream: number, transport: TransportName, signal: AbortSignal): void {
    const { source, reader, transports, gauges, onLost, inspectors } = this.#options
    const from = reader.reached
    let isResumed = stream > 1
    /** Where the stream is: the position after its last event. */
    let before = from === 'start' ? undefined : from
    const compare = () => {
      if (this.#state.next?.id === stream && (before ?? from) === reader.reached) this.dispatch({ type: 'caught-up', stream })
    }
    transports[transport].open({
      source,
      from,
      signal,
      on: {
        opened: () => {
          if (isResumed) gauges.resumed++
          isResumed = false
          this.dispatch({ type: 'opened', stream })
          compare()
        },
        received: (clock) => this.dispatch({ type: 'received', stream, clock }),
        retry: (retryMs) => this.dispatch({ type: 'retry', stream, retryMs }),
        reached: (position) => {
          if (!this.#streams.has(stream)) return
          reader.skipTo(before, position)
          before = position
          compare()
        },
        event: (name, id, data) => {
          // The old stream is read until the new one has caught up, so events of both arrive here.
          if (!this.#streams.has(stream)) return
          if (name === 'gap' && !isGap(data)) return this.#fail(stream, new MillraceError('bad_answer'))
          const verdict = reader.take(before, name, id, data)
          before = name === 'gap' ? (data as Gap).to : id
          const isRepeated = verdict === 'drop' || verdict === 'stale'
          if (isRepeated) gauges.repeated++
          inspectors.notify({ source, type: name, id: before, data, transport, isRepeated })
          if (verdict === 'take') {
            this.dispatch({ type: 'delivered', stream })
            if (name !== 'gap') return
            gauges.lost += countLost(data as Gap)
            onLost()
          } else if (verdict === 'stale') this.dispatch({ type: 'stale', stream })
          else if (verdict === 'drop') compare()
          else this.#fail(stream, verdict === 'foreign' ? foreignPosition() : new MillraceError('bad_answer'))
        },
        failed: (error) => this.#fail(stream, error),
      },
    })
  }

  #fail(stream: number, error: MillraceError): void {
    this.#streams.get(stream)?.abort()
    this.#streams.delete(stream)
    this.dispatch({ type: 'failed', stream, error })
  }

  /** One timer, moved only when something is due earlier: a tick that comes too early does nothing. */
  #schedule(): void {
    const dueAt = nextTickAt(this.#state, this.#options.timings)
    const isEver = dueAt !== Number.POSITIVE_INFINITY
    if (isEver && dueAt >= this.#timerAt) return
    clearTimeout(this.#timer)
    this.#timerAt = dueAt
    if (isEver) this.#timer = setTimeout(() => this.#tick(), Math.max(0, Math.ceil(dueAt - performance.now())))
  }

  #tick(): void {
    this.#timerAt = Number.POSITIVE_INFINITY
    // A transport that was avoided may be allowed again.
    const to = this.#options.choose()
    this.dispatch(this.#state.stream === undefined && to !== this.#state.target ? { type: 'switch', to } : { type: 'tick' })
  }
}

function isGap(data: unknown): data is Gap {
  const { from, to } = (data ?? {}) as Partial<Gap>
  return typeof from === 'string' && typeof to === 'string'
}

function countLost({ from, to }: Gap): number {
  return (parsePosition(to)?.offset ?? 0) - (parsePosition(from)?.offset ?? 0)
}

function clockLeadMs(): number {
  return Date.now() - performance.now()
}

function hasChanged(before: LinkState, after: LinkState): boolean {
  return (
    before.phase !== after.phase ||
    before.attempt !== after.attempt ||
    before.retryAt !== after.retryAt ||
    before.error !== after.error ||
    before.stream?.transport !== after.stream?.transport
  )
}

function foreignPosition(): MillraceError {
  return new MillraceError('position_foreign', { message: 'The position is of another or a lost log; read the session.' })
}
