/** The names of the logs in the stream, each of which is a token of a subject. */
import { namesMax } from '../../log/names.ts'
import { pageOfNames } from '../shared/names.ts'

/** Logs that are checked in parallel. */
const parallelMax = 64

/** A valid token of a NATS subject for any log name. */
export function token(log: string): string {
  return `_${Buffer.from(log).toString('base64url')}`
}

export function untoken(text: string): string {
  return Buffer.from(text.slice(1), 'base64url').toString()
}

/** A page of the names of existing logs. A deleted log leaves its end in the stream, so each name is checked with `exists`. */
export async function listLogs(
  all: readonly string[],
  exists: (log: string) => Promise<boolean>,
  prefix: string,
  after?: string,
): Promise<string[]> {
  const found: string[] = []
  for (let last = after; found.length < namesMax; ) {
    const names = pageOfNames(all, prefix, last)
    for (let at = 0; at < names.length && found.length < namesMax; at += parallelMax) {
      const some = names.slice(at, at + parallelMax)
      const checks = await Promise.all(some.map(exists))
      found.push(...some.filter((_, index) => checks[index]))
    }
    if (names.length < namesMax) break
    last = names.at(-1)
  }
  return found.slice(0, namesMax)
}
