/** Which pages may use this server from a browser, and by which names it may be reached. */
import { MillraceError } from '@millrace/protocol'

export interface Sender {
  /** `Sec-Fetch-Site`, which Node may give as a list. */
  readonly site: string | string[] | undefined
  /** `Origin`. */
  readonly origin: string | undefined
  /** A URL whose host is the one that the request was sent to. */
  readonly address: string
}

const nearSites = new Set<unknown>(['same-origin', 'same-site', 'none'])

/**
 * Throws `origin_not_allowed` for a page of another site: it could spend the keys of whoever visits it,
 * as GET /api/chat is one <img> away and any page may open a WebSocket anywhere.
 */
export function checkOrigin({ site, origin, address }: Sender): void {
  // No page can forge this header, and it is right also where a proxy has changed the Host.
  if (nearSites.has(site)) return
  if (site !== 'cross-site' && (origin === undefined || isSameHost(origin, address))) return
  throw new MillraceError('origin_not_allowed')
}

function isSameHost(origin: string, address: string): boolean {
  // `null`, the origin of a sandboxed page, is no URL and the same as nothing.
  const from = URL.parse(origin)?.hostname
  return from !== undefined && from === URL.parse(address)?.hostname
}

/** Says what is wrong with a Host header, if anything is. */
export type HostRule = (host: string | undefined) => MillraceError | undefined

/**
 * For a server that only its own machine can reach. A page whose DNS name was pointed at 127.0.0.1 is
 * of the same origin as this server for its browser; what gives it away is the name it asks for.
 * Throws `invalid_request` for a name that is none.
 */
export function createHostRule(hostNames: readonly string[]): HostRule {
  const names = new Set(hostNames.map(requireName))
  return (host) => {
    const name = nameOf(host)
    if (name === undefined) return new MillraceError('malformed_http')
    if (loopbackName.test(name) || names.has(name)) return undefined
    const message = `This server does not answer to ${name}; allow it with --host-name ${name} or listen({ hostNames: ['${name}'] }).`
    return new MillraceError('host_not_allowed', { message })
  }
}

export function isLoopback(address: string): boolean {
  return /^(::1$|(::ffff:)?127\.)/.test(address)
}

const loopbackName = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/
const hostPattern = /^(\[[\da-f:.]+\]|[\w.-]{1,253}?)\.?(:\d*)?$/i

/** In lower case, without port and trailing dot. Not by `URL`, which refuses some names that DNS takes. */
function nameOf(host = ''): string | undefined {
  return hostPattern.exec(host)?.[1]?.toLowerCase()
}

function requireName(host: string): string {
  const name = nameOf(host)
  if (name !== undefined) return name
  throw new MillraceError('invalid_request', { message: `"${host}" is not a host name; give one such as app.example.com.` })
}
