import { describe, expect, it } from 'vitest'
import { anonymous } from '../access/caller.ts'
import type { ConnectionInfo } from './connection.ts'
import { createConnections } from './connections.ts'

const createInfo = (more: Partial<ConnectionInfo> = {}): ConnectionInfo => ({
  transport: 'sse',
  principal: anonymous,
  address: '127.0.0.1',
  ...more,
})

describe('connections', () => {
  it('of all transports are listed with the sessions that they read', () => {
    const connections = createConnections({ now: () => 7 })
    const socket = connections.open(createInfo({ transport: 'ws', principal: { id: 'ada', kind: 'user' } }))
    for (const session of ['a', 'b']) socket.attach(session)
    connections.open(createInfo()).attach('a')
    expect(connections.list('a').map(({ transport }) => transport)).toEqual(['ws', 'sse'])
    expect(connections.list('b')).toEqual([
      {
        id: expect.any(String),
        transport: 'ws',
        principal: 'ada',
        address: '127.0.0.1',
        since: 7,
        sessions: ['a', 'b'],
        acknowledged: {},
      },
    ])
    socket.detach('b')
    expect(connections.list('b')).toEqual([])
    socket.close()
    socket.close()
    expect([connections.count, connections.list('a').length]).toEqual([1, 1])
  })

  it.each([
    ['session', { limits: { connectionsPerSession: 2 } }, {}],
    ['principal', { connectionsOf: () => 2 }, { principal: { id: 'ada', kind: 'user' as const } }],
    ['address', { limits: { connectionsPerAddress: 2 } }, {}],
    ['network of an IPv6 address', { limits: { connectionsPerAddress: 2 } }, { address: '2001:db8::1' }],
    ['node', { limits: { connectionsPerNode: 2 } }, {}],
  ])('are bounded exactly per %s, and a closed connection frees its place', (_what, options, more) => {
    const connections = createConnections(options)
    const open = () => connections.open(createInfo(more), 'a')
    const first = open()
    open()
    for (let n = 0; n < 3; n++) expect(open).toThrow(expect.objectContaining({ code: 'too_many_connections' }))
    first.close()
    open()
    expect(open).toThrow()
  })

  it('of others are not affected by one that is rejected', () => {
    const connections = createConnections({ limits: { connectionsPerAddress: 1 }, connectionsOf: () => 1 })
    connections.open(createInfo({ principal: { id: 'ada', kind: 'user' } }))
    expect(() => connections.open(createInfo({ principal: { id: 'bob', kind: 'user' } }))).toThrow()
    connections.open(createInfo({ principal: { id: 'bob', kind: 'user' }, address: '127.0.0.2' }))
  })
})
