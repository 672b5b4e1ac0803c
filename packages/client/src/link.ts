/** The shell around link-state.ts: one source's streams, timer and reader. It decides nothing. */
import type { Gap } from '@millrace/protocol'
import { MillraceError } from './errors.ts'
import { createLinkState, type LinkEffect, type LinkInput, type LinkState, nextTickAt, stepLink } from './link-state.ts'
import type { Reader } from './reader.ts'
import { deadConnection } from './socket.ts'
import type { Timings } from './timings.ts'
import type { Reading, Transport, TransportName } from './transports/transport.ts'

export interface LinkOptions {
  readonly source: Reading
  readonly reader: Reader
  readonly transports: Readonly<Record<TransportName, Transport>>
  readonly timings: Timings
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

export function createLink({ source, reader, transports, timings, choose, onUnfit, onFit, onState }: LinkOptions): Link {
  let state = createLinkState(choose())
  const streams = new Map<number, AbortController>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let timerAt = Number.POSITIVE_INFINITY

  return {
    get state() {
      return state
    },
    dispatch,
  }

  function dispatch(input: LinkInput): void {
    const before = state
    const step = stepLink(state, input, { now: performance.now(), random: Math.random(), timings })
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
    const from = reader.reached
    let before = from === 'start' ? undefined : from
    transports[transport].open({
      source,
      from,
      signal: abort.signal,
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

function hasChanged(before: LinkState, after: LinkState): boolean {
  return (
    before.phase !== after.phase ||
    before.attempt !== after.attempt ||
    before.retryAt !== after.retryAt ||
    before.error !== after.error ||
    before.stream?.transport !== after.stream?.transport
  )
}
