/** Patterns of streams: `*` stands for one segment of a name, `**` for any number of them. PROTOCOL.md 6.2 of Durable Streams. */

/** Whether a pattern has a name. Takes at most the product of their segments. */
export function matchesPattern(pattern: string, name: string): boolean {
  const wanted = pattern.split('/')
  const segments = name.split('/')
  let at = 0
  let place = 0
  /** Of the last `**`, and how much of the name it takes. */
  let open = -1
  let taken = 0
  while (place < segments.length) {
    if (wanted[at] === '**') {
      open = at++
      taken = place
    } else if (at < wanted.length && (wanted[at] === '*' || wanted[at] === segments[place])) {
      at++
      place++
    } else if (open >= 0) {
      at = open + 1
      place = ++taken
    } else return false
  }
  while (wanted[at] === '**') at++
  return at === wanted.length
}

/** What all names begin with that a pattern has. */
export function beginningOf(pattern: string): string {
  const segments = pattern.split('/')
  const first = segments.findIndex((segment) => segment.includes('*'))
  return first === -1
    ? pattern
    : segments
        .slice(0, first)
        .map((segment) => `${segment}/`)
        .join('')
}
