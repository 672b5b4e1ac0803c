/** Where the server is. */

/** Ends with a slash. Empty where a relative address has no page to be relative to. */
export function resolveBase(url: string | URL): string {
  const page = (globalThis as { location?: { href: string } }).location?.href
  if (page === undefined && !URL.canParse(String(url))) return ''
  const base = new URL(url, page)
  base.search = base.hash = ''
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return base.href
}

export function isOtherOrigin(base: string): boolean {
  const { origin } = (globalThis as { location?: { origin: string } }).location ?? {}
  return origin !== undefined && base !== '' && new URL(base).origin !== origin
}
