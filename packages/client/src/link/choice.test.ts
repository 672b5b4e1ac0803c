import { describe, expect, it } from 'vitest'
import type { TransportName } from '../transports/transport.ts'
import { type Avoided, type ChoiceFacts, chooseTransport } from './choice.ts'

const facts: ChoiceFacts = {
  requested: 'auto',
  isTwoWay: false,
  isBinary: false,
  isShared: false,
  isPage: false,
  hasWebSocket: true,
  avoided: new Map(),
  now: 1000,
}
const silent = (until = 2000): Avoided => ({ until, reason: 'nothing came' })
const avoiding = (...names: TransportName[]) => new Map(names.map((name) => [name, silent()]))

describe('the choice of a transport', () => {
  it('is the one that was asked for, also where it has failed', () => {
    expect(chooseTransport({ ...facts, requested: 'poll' }).transport).toBe('poll')
    expect(chooseTransport({ ...facts, requested: 'ws', avoided: avoiding('ws') }).transport).toBe('ws')
  })

  it('is SSE for text that comes one way, a WebSocket for traffic both ways', () => {
    expect(chooseTransport(facts)).toEqual({ transport: 'sse', reason: 'text comes one way' })
    expect(chooseTransport({ ...facts, isTwoWay: true })).toEqual({ transport: 'ws', reason: 'traffic goes both ways' })
    expect(chooseTransport({ ...facts, isTwoWay: true, hasWebSocket: false })).toEqual({
      transport: 'sse',
      reason: 'this host has no WebSocket',
    })
  })

  it('is a WebSocket for bytes, which everything else carries as base64', () => {
    expect(chooseTransport({ ...facts, isBinary: true })).toEqual({ transport: 'ws', reason: 'data is bytes' })
  })

  it('is a WebSocket where tabs share it, which carries the sessions of all of them', () => {
    expect(chooseTransport({ ...facts, isShared: true })).toEqual({ transport: 'ws', reason: 'tabs share one connection' })
    expect(chooseTransport({ ...facts, isShared: true, hasWebSocket: false }).transport).toBe('sse')
  })

  it('is a WebSocket in a page, whose other connections are counted, also where tabs cannot share one', () => {
    expect(chooseTransport({ ...facts, isPage: true }).transport).toBe('ws')
    expect(chooseTransport({ ...facts, isPage: true, avoided: avoiding('ws') }).transport).toBe('sse')
  })

  it('goes down from what did not work, says why, and comes back after a while', () => {
    expect(chooseTransport({ ...facts, isTwoWay: true, avoided: avoiding('ws') })).toEqual({
      transport: 'sse',
      reason: 'traffic goes both ways; ws is avoided: nothing came',
    })
    expect(chooseTransport({ ...facts, isTwoWay: true, avoided: avoiding('ws', 'sse') }).transport).toBe('poll')
    expect(chooseTransport({ ...facts, avoided: avoiding('sse', 'poll') }).transport).toBe('poll')
    expect(chooseTransport({ ...facts, avoided: avoiding('sse'), now: 2000 }).transport).toBe('sse')
  })
})
