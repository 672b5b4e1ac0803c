/** The names of logs, as `Engine.list` gives them. */

/** In one page. */
export const namesMax = 1000

/** Of all names in any order those of one page. */
export function pageOfNames(names: Iterable<string>, prefix: string, after?: string): string[] {
  const found: string[] = []
  for (const name of names) {
    if (!name.startsWith(prefix) || (after !== undefined && compareNames(name, after) <= 0)) continue
    found.push(name)
    // Cut now and then: all names of a large database need not be held at once.
    if (found.length >= 20 * namesMax) cut(found)
  }
  return cut(found)
}

/** In the order of code points; that of UTF-16, which JavaScript compares by, is another beyond U+FFFF. */
function compareNames(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}

function cut(names: string[]): string[] {
  names.sort(compareNames).splice(namesMax)
  return names
}
