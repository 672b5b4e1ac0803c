/** The host names that the server accepts. */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { MillraceError } from '@millrace/protocol'

/** A header of a request; the values of a repeated one are joined with commas. */
export type ReadHeader = (name: string) => string | undefined

/** Why the host name of a request is rejected; undefined if it is accepted. */
export type HostRule = (header: ReadHeader) => MillraceError | undefined

export interface HostRuleOptions {
  /** Names in addition to `localhost` and its subdomains. Throws `invalid_request` for an invalid one. */
  readonly names?: readonly string[]
  /** Only this machine can reach the server, so addresses of other machines are rejected. */
  readonly isLoopback?: boolean
}

/**
 * A page whose DNS name was rebound to this server has the server's origin for its browser; it is recognized by the name
 * that it requests.
 *
 * Without configured names the right ones are unknown, and only what may be such a page is rejected: a browser that does not
 * send `Sec-Fetch-Site`. Browsers send it over HTTPS, where a name cannot be taken over without its certificate, and to the
 * names of their own machine; an IP address cannot be rebound.
 */
export function createHostRule({ names = [], isLoopback = false }: HostRuleOptions = {}): HostRule {
  const known = new Set(names.map(requireName))
  const isOpen = known.size === 0 && !isLoopback
  return (header) => {
    const name = nameOf(header('host'))
    if (name === undefined) return new MillraceError('malformed_http')
    if (loopbackName.test(name) || known.has(name)) return undefined
    if (!isLoopback && isIP(name.replace(/^\[|\]$/g, '')) !== 0) return undefined
    if (isOpen && (!isOfBrowser(header) || header('sec-fetch-site') !== undefined)) return undefined
    const message = `The server does not answer to ${name}; allow it with --host-name ${name} or createMillrace({ hostNames: ['${name}'] }).`
    return new MillraceError('host_not_allowed', { message })
  }
}

/** A page can neither change nor hide these headers. */
export function isOfBrowser(header: ReadHeader): boolean {
  return Boolean(header('origin')) || /^(Mozilla|Opera)\//.test(header('user-agent') ?? '')
}

export function headerOf({ headersDistinct }: IncomingMessage): ReadHeader {
  return (name) => headersDistinct[name]?.join(', ')
}

export function isLoopback(address: string): boolean {
  return /^(::1$|(::ffff:)?127\.)/.test(address)
}

/** A host name or address of this machine, as `URL` gives it. */
export function isLoopbackName(name: string): boolean {
  return loopbackName.test(name)
}

const loopbackName = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/
const hostPattern = /^(\[[\da-f:.]+\]|[\w.-]{1,253}?)\.?(:\d*)?$/i

/** In lower case, without port and trailing dot. Not by `URL`, which rejects some DNS names. Two names are invalid. */
function nameOf(host = ''): string | undefined {
  return hostPattern.exec(host)?.[1]?.toLowerCase()
}

function requireName(host: string): string {
  const name = nameOf(host)
  if (name !== undefined) return name
  throw new MillraceError('invalid_request', { message: `"${host}" is not a host name; give one such as app.example.com.` })
}
