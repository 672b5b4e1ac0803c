/** Pages of log names, as `Engine.list` returns them. */
import { namesMax } from '../../log/names.ts'

/** The page of the names in `names`, which come in any order. */
export function pageOfNames(names: Iterable<string>, prefix: string, after?: string): string[] {
  const found: string[] = []
  for (const name of names) {
    if (!name.startsWith(prefix) || (after !== undefined && compareNames(name, after) <= 0)) continue
    found.push(name)
    // Cut from time to time, so that memory does not grow with the number of names.
    if (found.length >= 20 * namesMax) cut(found)
  }
  return cut(found)
}

/** In the order of code points. JavaScript compares UTF-16 units, whose order differs above U+FFFF. */
function compareNames(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}

function cut(names: string[]): string[] {
  names.sort(compareNames).splice(namesMax)
  return names
}
