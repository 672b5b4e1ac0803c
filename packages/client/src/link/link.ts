/** The shell around link-state.ts: one source's streams, timer and reader. It decides nothing. */
import type { Gap } from '@millrace/protocol'
import { MillraceError } from '../errors.ts'
import { isHostOffline } from '../host.ts'
import { toError } from '../http.ts'
import type { Timings } from '../timings.ts'
import { deadConnection } from '../transports/socket.ts'
import type { ReadRequest, Transport, TransportName } from '../transports/transport.ts'
import { createLinkState, type LinkEffect, type LinkInput, type LinkState, nextTickAt, stepLink } from './link-state.ts'
import type { Reader } from './reader.ts'

export interface LinkOptions {
  readonly source: ReadRequest
  readonly reader: Reader
  readonly transports: Readonly<Record<TransportName, Transport>>
  readonly timings: Timings
  /** What must have happened before a stream is asked for; undefined where it has. Its wait is not the transport's. */
  readonly prepare: () => Promise<unknown> | undefined
  /** The transport to use now. */
  readonly choose: () => TransportName
  readonly onUnfit: (transport: TransportName, error: MillraceError) => void
  readonly onFit: (transport: TransportName) => void
  readonly onState: (state: LinkState) => void
}

export interface Link {
  readonly state: LinkState
  dispatch(input: LinkInput): void
}

export function createLink(options: LinkOptions): Link {
  const { source, reader, transports, timings, prepare, choose, onUnfit, onFit, onState } = options
  let state = createLinkState(choose(), isHostOffline())
  const streams = new Map<number, AbortController>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let timerAt = Number.POSITIVE_INFINITY
  /** How far the clock on the wall was ahead of the other one when a stream was last heard from. */
  let lead = leadOfWall()

  return {
    get state() {
      return state
    },
    dispatch,
  }

  function dispatch(input: LinkInput): void {
    const before = state
    if ('stream' in input) lead = leadOfWall()
    const sleptMs = leadOfWall() - lead
    const step = stepLink(state, input, { now: performance.now(), sleptMs, random: Math.random(), timings })
    state = step.state
    for (const effect of step.effects) perform(effect)
    arm()
    if (hasChanged(before, state)) onState(state)
  }

  function perform(effect: LinkEffect): void {
    switch (effect.type) {
      case 'open':
        return open(effect.stream, effect.transport)
      case 'close': {
        const abort = streams.get(effect.stream)
        streams.delete(effect.stream)
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

  function open(stream: number, transport: TransportName): void {
    const abort = new AbortController()
    streams.set(stream, abort)
    const ready = prepare()
    const { signal } = abort
    if (ready === undefined && reader.reached !== 'now') return read(stream, transport, signal)
    // After the step that caused it.
    queueMicrotask(() => dispatch({ type: 'preparing', stream }))
    locate(ready, signal).then(
      () => {
        if (signal.aborted) return
        dispatch({ type: 'begun', stream })
        read(stream, transport, signal)
      },
      (error: unknown) => !signal.aborted && fail(stream, toError(error)),
    )
  }

  /** A cut before the first event must not lose what comes after it: "now" is a place, found once. */
  async function locate(ready: Promise<unknown> | undefined, signal: AbortSignal): Promise<void> {
    await ready
    if (reader.reached !== 'now' || signal.aborted) return
    const found = Promise.withResolvers<string>()
    const over = new AbortController()
    const ignore = () => {}
    transports.poll.open({
      source,
      from: 'now',
      signal: AbortSignal.any([signal, over.signal]),
      on: { opened: ignore, heard: ignore, retry: ignore, event: ignore, reached: found.resolve, failed: found.reject },
    })
    const position = await found.promise
    over.abort()
    reader.skipTo(undefined, position)
  }

  function read(stream: number, transport: TransportName, signal: AbortSignal): void {
    const from = reader.reached
    let before = from === 'start' ? undefined : from
    transports[transport].open({
      source,
      from,
      signal,
      on: {
        opened() {
          dispatch({ type: 'opened', stream })
          compare()
        },
        heard: (clock) => dispatch({ type: 'heard', stream, clock }),
        retry: (retryMs) => dispatch({ type: 'retry', stream, retryMs }),
        reached(position) {
          if (!streams.has(stream)) return
          reader.skipTo(before, position)
          before = position
          compare()
        },
        event(name, id, data) {
          // The old stream is still read while a new one opens; a new one is read from when it is open.
          if (!streams.has(stream)) return
          const verdict = reader.take(before, name, id, data)
          before = name === 'gap' ? (data as Gap).to : id
          if (verdict === 'take') dispatch({ type: 'delivered', stream })
          else if (verdict === 'stale') dispatch({ type: 'stale', stream })
          else if (verdict === 'foreign') fail(stream, new MillraceError('position_foreign'))
          else if (verdict === 'bad') fail(stream, new MillraceError('bad_answer'))
          else compare()
        },
        failed: (error) => fail(stream, error),
      },
    })

    function compare(): void {
      if (state.next?.id === stream && (before ?? from) === reader.reached) dispatch({ type: 'caught-up', stream })
    }
  }

  function fail(stream: number, error: MillraceError): void {
    streams.get(stream)?.abort()
    streams.delete(stream)
    dispatch({ type: 'failed', stream, error })
  }

  /** One timer, never set later than needed and seldom moved: a tick that comes too early does nothing. */
  function arm(): void {
    const dueAt = nextTickAt(state, timings)
    if (dueAt >= timerAt && dueAt !== Number.POSITIVE_INFINITY) return
    clearTimeout(timer)
    timerAt = dueAt
    if (dueAt === Number.POSITIVE_INFINITY) return
    timer = setTimeout(
      () => {
        timerAt = Number.POSITIVE_INFINITY
        // A transport that was avoided may be worth trying again by now.
        if (state.stream === undefined && choose() !== state.target) dispatch({ type: 'switch', to: choose() })
        else dispatch({ type: 'tick' })
      },
      Math.max(0, Math.ceil(dueAt - performance.now())),
    )
  }
}

function leadOfWall(): number {
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
