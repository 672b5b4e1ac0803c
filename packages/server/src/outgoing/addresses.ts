/** Which addresses are on the public internet: those that IANA's special-purpose registries list as globally reachable. */
import { BlockList, isIP } from 'node:net'

/** Of this machine, its network, its provider (metadata services are at 169.254.169.254), or of nobody. */
const privateNetworks: readonly (readonly [network: string, bits: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]

/** Teredo and 6to4 contain an IPv4 address, which may be a private one. */
const privateNetworks6: readonly (readonly [network: string, bits: number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

/** The prefix of IPv4 addresses in a network that has IPv6 only (RFC 6052). */
const nat64 = '64:ff9b::'

const isPrivate = new BlockList()
for (const [network, bits] of privateNetworks) {
  isPrivate.addSubnet(network, bits, 'ipv4')
  isPrivate.addSubnet(nat64 + network, 96 + bits, 'ipv6')
}
for (const [network, bits] of privateNetworks6) isPrivate.addSubnet(network, bits, 'ipv6')

/** Everything else of IPv6 is not assigned, or is an IPv4 address in another form. */
const global6 = new BlockList()
global6.addSubnet('2000::', 3, 'ipv6')
global6.addSubnet(nat64, 96, 'ipv6')

export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !isPrivate.check(address, 'ipv4')
  return family === 6 && global6.check(address, 'ipv6') && !isPrivate.check(address, 'ipv6')
}
