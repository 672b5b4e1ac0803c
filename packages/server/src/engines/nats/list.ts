/** The names of the logs in a stream, of whose subjects each is the name of one. */
import { namesMax, pageOfNames } from '../shared/names.ts'

/** Looked at together. */
const atOnce = 64

/** One token of a subject, whatever the name. */
export function token(log: string): string {
  return `_${Buffer.from(log).toString('base64url')}`
}

export function untoken(text: string): string {
  return Buffer.from(text.slice(1), 'base64url').toString()
}

/** Of a log that was deleted its end is left, so each of them is looked at. */
export async function listLogs(
  all: readonly string[],
  isThere: (log: string) => Promise<boolean>,
  prefix: string,
  after?: string,
): Promise<string[]> {
  const found: string[] = []
  for (let last = after; found.length < namesMax; ) {
    const names = pageOfNames(all, prefix, last)
    for (let at = 0; at < names.length && found.length < namesMax; at += atOnce) {
      const some = names.slice(at, at + atOnce)
      const there = await Promise.all(some.map(isThere))
      found.push(...some.filter((_, index) => there[index]))
    }
    if (names.length < namesMax) break
    last = names.at(-1)
  }
  return found.slice(0, namesMax)
}
