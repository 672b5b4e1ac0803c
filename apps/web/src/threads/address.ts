/** The address of the page names the conversation, so that a link, a reload and the Back button lead to it. */
export function addressOf(session: string | undefined): string {
  const url = new URL(window.location.href)
  url.hash = ''
  url.search = session === undefined ? '' : `?session=${encodeURIComponent(session)}`
  return url.href
}

export function sessionOfPage(): string | undefined {
  return new URLSearchParams(window.location.search).get('session') ?? undefined
}
