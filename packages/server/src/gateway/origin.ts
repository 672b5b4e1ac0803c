/** Which pages may use this server from a browser. */
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
