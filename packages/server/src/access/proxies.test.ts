import { describe, expect, it } from 'vitest'
import { createFindClient } from './proxies.ts'

const find = (trusted: readonly string[], address: string | undefined, forwarded?: string, proto?: string) => {
  const headers: Record<string, string | undefined> = { 'x-forwarded-for': forwarded, 'x-forwarded-proto': proto }
  return createFindClient(trusted)({ address, isSecure: false }, (name) => headers[name])
}

describe('the address of a client', () => {
  it.each([
    ['its own without proxies', [], '9.9.9.9', '1.1.1.1', '9.9.9.9'],
    ['its own where it is no proxy', ['10.0.0.0/8'], '9.9.9.9', '1.1.1.1', '9.9.9.9'],
    ['unknown on a host that does not give it', ['10.0.0.0/8'], undefined, '1.1.1.1', undefined],
    ['the last that the proxy added', ['10.0.0.1'], '10.0.0.1', '6.6.6.6, 1.1.1.1', '1.1.1.1'],
    ['before all proxies', ['10.0.0.0/8'], '10.0.0.1', '6.6.6.6, 1.1.1.1, 10.0.0.3,10.0.0.2', '1.1.1.1'],
    ['the proxy where it added none', ['10.0.0.1'], '10.0.0.1', undefined, '10.0.0.1'],
    ['the first proxy where all are', ['10.0.0.0/8'], '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['the proxy where it added nonsense', ['10.0.0.1'], '10.0.0.1', '1.1.1.1, unknown', '10.0.0.1'],
    ['read without port and brackets', ['::1'], '::1', '[2001:db8::7]:443', '2001:db8::7'],
    ['read without port', ['::1'], '::1', '1.1.1.1:8080', '1.1.1.1'],
    ['that of an IPv4 client on an IPv6 socket', ['10.0.0.0/8'], '::ffff:10.0.0.1', '::ffff:1.1.1.1', '1.1.1.1'],
    ['of a network of IPv6', ['2001:db8::/32'], '2001:db8::1', '2001:db9::1', '2001:db9::1'],
    ['of the last 16 proxies', ['10.0.0.0/8'], '10.0.0.1', `1.1.1.1${', 10.0.0.2'.repeat(1000)}`, '10.0.0.2'],
  ])('is %s', (_what, trusted, address, forwarded, expected) => {
    expect(find(trusted, address, forwarded).address).toBe(expected)
  })

  it('comes with TLS where a trusted proxy says so', () => {
    expect(find(['10.0.0.1'], '10.0.0.1', '1.1.1.1', 'http, https').isSecure).toBe(true)
    expect(find(['10.0.0.1'], '10.0.0.1', '1.1.1.1', 'https, http').isSecure).toBe(false)
    expect(find([], '10.0.0.1', '1.1.1.1', 'https').isSecure).toBe(false)
  })
})

it.each(['', 'proxy', '10.0.0.0/33', '10.0.0.0/x', '10.0.0.0/8/8', '10.0.0', '::1/129', '0x0a.0.0.1'])(
  'does not take %j for a proxy',
  (network) => {
    expect(() => createFindClient([network])).toThrow(/address or network/)
  },
)
