/** Which runs of a session's tree are shown: one path of it. Pure. PROTOCOL.md#the-tree. */
import type { ChatRun } from './fold.ts'

export interface Tree {
  /** Places, in `runs`, of those on the path. */
  readonly path: readonly number[]
  /** Of each run that is not alone at its place: the runs there, itself included, in the order in which they began. */
  readonly siblings: ReadonlyMap<string, readonly string[]>
}

/** The path to the newest run; with `through`, to the newest at or below that run. */
export function treeOf(runs: readonly ChatRun[], through?: string): Tree {
  const places = new Map(runs.map(({ run }, place) => [run, place]))
  const parentOf = ({ parent }: ChatRun) => (typeof parent === 'string' && places.has(parent) ? parent : null)
  const children = new Map<string | null, string[]>()
  const below = new Set<string | null>([through ?? null])
  let next: string | null = null
  for (const each of runs) {
    // The rest of an answer whose beginning is no longer kept is at no place.
    if (each.continues !== undefined) continue
    const parent = parentOf(each)
    const siblings = children.get(parent) ?? []
    siblings.push(each.run)
    children.set(parent, siblings)
    if (through !== undefined && each.run !== through && !below.has(parent)) continue
    below.add(each.run)
    next = each.run
  }
  if (next === null && through !== undefined) return treeOf(runs)
  const shown = new Set<string>()
  for (; next !== null && !shown.has(next); next = parentOf(runs[places.get(next) as number] as ChatRun)) shown.add(next)
  return {
    path: [...runs.keys()].filter((place) => shown.has(runs[place]?.run as string) || runs[place]?.continues !== undefined),
    siblings: new Map([...children.values()].filter(({ length }) => length > 1).flatMap((all) => all.map((run) => [run, all]))),
  }
}
