/** By which host names the server may be reached. */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { MillraceError } from '@millrace/protocol'

/** A header of a request; where it was sent more than once, all of them with commas between. */
export type ReadHeader = (name: string) => string | undefined

/** What is wrong with the name that a request was sent to, if anything is. */
export type HostRule = (header: ReadHeader) => MillraceError | undefined

export interface HostRuleOptions {
  /** Names that are answered to beside `localhost` and those under it. Throws `invalid_request` for one that is none. */
  readonly names?: readonly string[]
  /** Only the server's own machine can reach it: addresses of others are no names of it. */
  readonly isLoopback?: boolean
}

/**
 * A page whose DNS name is changed to lead here (DNS rebinding) is of the same origin as this server for its browser; what
 * gives it away is the name it asks for.
 *
 * Without a list of names nobody knows which are right, and only what may be such a page is refused: a browser that does not
 * say `Sec-Fetch-Site`. Browsers say it over HTTPS, where a name cannot be taken over without its certificate, and to the
 * names of their own machine; an IP address is no name.
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

/** No page can change or hide what these headers begin with. */
export function isOfBrowser(header: ReadHeader): boolean {
  return Boolean(header('origin')) || /^(Mozilla|Opera)\//.test(header('user-agent') ?? '')
}

export function headerOf({ headersDistinct }: IncomingMessage): ReadHeader {
  return (name) => headersDistinct[name]?.join(', ')
}

export function isLoopback(address: string): boolean {
  return /^(::1$|(::ffff:)?127\.)/.test(address)
}

const loopbackName = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/
const hostPattern = /^(\[[\da-f:.]+\]|[\w.-]{1,253}?)\.?(:\d*)?$/i

/** In lower case, without port and trailing dot. Not by `URL`, which refuses some names that DNS takes. Two names are none. */
function nameOf(host = ''): string | undefined {
  return hostPattern.exec(host)?.[1]?.toLowerCase()
}

function requireName(host: string): string {
  const name = nameOf(host)
  if (name !== undefined) return name
  throw new MillraceError('invalid_request', { message: `"${host}" is not a host name; give one such as app.example.com.` })
}
