import { BlockList, isIP } from 'node:net'
import { isLoopbackName } from '../../access/host-names.ts'

const privateNetworks = new BlockList()
for (const [network, bits] of [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const)
  privateNetworks.addSubnet(network, bits, 'ipv4')
privateNetworks.addSubnet('fc00::', 7, 'ipv6')
privateNetworks.addSubnet('fe80::', 10, 'ipv6')

/** Whether a host name, as `URL` gives it, is one of the internet: not of this machine, a private network, or reserved. */
export function isPublicName(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  if (isLoopbackName(hostname)) return false
  const family = isIP(name)
  if (family !== 0) return !privateNetworks.check(name, family === 6 ? 'ipv6' : 'ipv4')
  return name.includes('.') && !/\.(local|internal|lan|home|corp|test|home\.arpa)$/.test(name)
}
