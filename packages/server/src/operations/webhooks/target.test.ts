import { describe, expect, it } from 'vitest'
import { resolveTargets, signatureHeaders } from './target.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const url = 'https://hooks.example.com/millrace'
const isPrivate = (host: string) => host === 'localhost'
const resolve = (target: object) => resolveTargets([{ url, secret, ...target }], isPrivate)

describe('a signature', () => {
  it('is the one that libraries of Standard Webhooks verify', () => {
    const [target] = resolve({})
    const signed = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: 1614265330, body: '{"test": 2432232314}' }
    expect(signatureHeaders({ keys: target?.keys ?? [] }, signed)).toEqual({
      'webhook-id': signed.id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
  })

  it('is made with each secret while one is replaced', () => {
    const [target] = resolve({ secret: [secret, `whsec_${Buffer.alloc(32, 1).toString('base64')}`] })
    const headers = signatureHeaders({ keys: target?.keys ?? [] }, { id: 'msg_a', timestamp: 1, body: '' })
    expect(headers['webhook-signature']).toMatch(/^v1,[\w+/]{43}= v1,[\w+/]{43}=$/)
  })
})

describe('a target', () => {
  it.each([
    ['an address that is none', { url: 'hooks' }],
    ['plain HTTP on the internet', { url: 'http://hooks.example.com/' }],
    ['another scheme', { url: 'file:///etc/passwd' }],
    ['a secret without its prefix', { secret: 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }],
    ['a short secret', { secret: 'whsec_c2hvcnQ=' }],
    ['a secret that is not base64', { secret: `whsec_${'ä'.repeat(40)}` }],
    ['no secret', { secret: [] }],
    ['an event that does not exist', { events: ['run.started'] }],
    ['a misspelled field', { event: ['run.ended'] }],
  ])('is rejected with %s', (_what, wrong) => {
    expect(() => resolve(wrong)).toThrow(/webhook/)
  })

  it('may be on plain HTTP where its host is private', () => {
    expect(resolve({ url: 'http://localhost:3000/hook' })).toHaveLength(1)
  })

  it('gets every event by default', () => {
    expect([...(resolve({})[0]?.events ?? [])]).toEqual(['run.ended', 'session.created', 'limit.hit'])
  })
})
