/** The client behind proxies: its address, and whether it uses TLS. Only proxies that are configured are believed. */
import { BlockList, isIP } from 'node:net'
import { MillraceError } from '@millrace/protocol'
import type { ReadHeader } from './host-names.ts'

export interface Peer {
  readonly address: string | undefined
  readonly isSecure: boolean
}

/** The client of a connection from this peer. */
export type FindClient = (peer: Peer, header: ReadHeader) => Peer

/** More are not the work of real proxies. */
const hopsMax = 16

/** Takes addresses and networks, such as `10.0.0.0/8`. Throws `invalid_request` for anything else. */
export function createFindClient(trusted: readonly string[] = []): FindClient {
  if (trusted.length === 0) return (peer) => peer
  const list = new BlockList()
  for (const network of trusted) add(list, network)
  const isTrusted = (address: string) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

  return (peer, header) => {
    const { address: peerAddress = '' } = peer
    let address = plain(peerAddress)
    if (isIP(address) === 0 || !isTrusted(address)) return peer
    // Each proxy appends the address of its own client, so only the end is known to be true: it is read from the right.
    const hops = (header('x-forwarded-for') ?? '').split(',').slice(-hopsMax)
    while (isTrusted(address)) {
      const hop = plain(hops.pop() ?? '')
      if (isIP(hop) === 0) break
      address = hop
    }
    const scheme = header('x-forwarded-proto')?.split(',').at(-1)?.trim().toLowerCase()
    return { address, isSecure: scheme === undefined ? peer.isSecure : scheme === 'https' }
  }
}

function add(list: BlockList, network: string): void {
  const [address = '', bits, ...rest] = network.split('/')
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  try {
    if (rest.length > 0 || isIP(address) === 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits))) throw new Error('malformed')
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  } catch (cause) {
    const message = `"${network}" is not an address or network of a proxy; give one such as 10.0.0.1 or 10.0.0.0/8.`
    throw new MillraceError('invalid_request', { message, cause })
  }
}

/** Without port, brackets, and the prefix of an IPv4 address in an IPv6 socket. */
function plain(text: string): string {
  const trimmed = text.trim()
  const withoutPort = /^\[([^\]]*)\](:\d+)?$/.exec(trimmed)?.[1] ?? /^([\d.]+):\d+$/.exec(trimmed)?.[1] ?? trimmed
  return withoutPort.replace(/^::ffff:(?=[\d.]+$)/i, '')
}
