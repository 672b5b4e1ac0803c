/** The pages that may use this server from a browser. */
import { MillraceError } from '@millrace/protocol'
import { isOfBrowser, type ReadHeader } from './host-names.ts'

/**
 * Throws `origin_not_allowed` for a page of another site: it could spend the API keys of its visitors, as GET /api/chat is
 * one <img> away and any page may open a WebSocket to any server. `address` is a URL with the host that the request was
 * sent to.
 */
export type CheckOrigin = (header: ReadHeader, address: string) => void

const nearSites = new Set<unknown>(['same-origin', 'same-site', 'none'])
const ownPage = new Set<unknown>(['same-origin', 'none'])

/** With an allow-list only its origins are allowed, exactly, and the server's own. Throws for what is not an origin. */
export function createOriginRule(origins: readonly string[] = []): CheckOrigin {
  if (origins.length === 0) return checkSite
  const allowed = new Set(origins.map(requireOrigin))
  return (header, address) => {
    // A page cannot forge this header, and it is right even if a proxy has changed the Host.
    const site = header('sec-fetch-site')
    if (ownPage.has(site)) return
    const origin = header('origin')
    if (origin ? allowed.has(origin) || isSameOrigin(origin, address) : site === undefined) return
    throw new MillraceError('origin_not_allowed')
  }
}

function checkSite(header: ReadHeader, address: string): void {
  const site = header('sec-fetch-site')
  if (nearSites.has(site)) return
  const origin = header('origin')
  if (site !== 'cross-site' && (!origin || isSameHost(origin, address))) return
  throw new MillraceError('origin_not_allowed')
}

/** Throws `origin_not_allowed` for every page but the server's own, also one of the allow-list or of the same site. */
export function checkOwnPage(header: ReadHeader, address: string): void {
  const site = header('sec-fetch-site')
  if (ownPage.has(site)) return
  const origin = header('origin')
  if (site === undefined && (!origin || isSameOrigin(origin, address))) return
  throw new MillraceError('origin_not_allowed')
}

/**
 * Throws `origin_not_allowed` for a GET that starts something and may come from a page of another site. Over plain HTTP to
 * an address that is not loopback a browser sends neither `Sec-Fetch-Site` nor, for an image, an `Origin`; then only the
 * `Referer`, which a page cannot forge, names the page.
 */
export function checkStart(header: ReadHeader, address: string): void {
  if (header('sec-fetch-site') !== undefined || header('origin') || !isOfBrowser(header)) return
  if (isSameHost(header('referer') ?? '', address)) return
  throw new MillraceError('origin_not_allowed', {
    message: 'The browser does not say which page asks; start runs by POST, or from a page of this server, or over HTTPS.',
  })
}

function isSameHost(origin: string, address: string): boolean {
  // `null`, the origin of a sandboxed page, is not a URL and counts as another site.
  const from = URL.parse(origin)?.hostname
  return from !== undefined && from === URL.parse(address)?.hostname
}

/** The same host and port; a proxy may have changed the scheme. */
function isSameOrigin(origin: string, address: string): boolean {
  const from = URL.parse(origin)?.host
  return from !== undefined && from === URL.parse(address)?.host
}

function requireOrigin(text: string): string {
  if (URL.parse(text)?.origin === text) return text
  throw new MillraceError('invalid_request', { message: `"${text}" is not an origin; give one such as https://app.example.com.` })
}
