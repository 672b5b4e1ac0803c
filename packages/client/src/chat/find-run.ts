/** A run of what is shown, by its id. */
import type { Chat } from './chat.ts'
import { lastRun } from './fold.ts'

/** Built once for all components that look for a run of their own. */
const indexes = new WeakMap<object, ReadonlyMap<string, unknown>>()

/** The run with this id, which is the same object until it changes; undefined until it is in the transcript. */
export function findRun<Run extends { readonly run: string }>(
  { runs }: { readonly runs: readonly Run[] },
  id: string,
): Run | undefined {
  const index = indexes.get(runs) ?? new Map(runs.map((run) => [run.run, run]))
  indexes.set(runs, index)
  return index.get(id) as Run | undefined
}

/** The id of the run to stop or to continue. */
export function findLast(shown: Pick<Chat, 'runs'>, id: string): string {
  const run = findRun(shown, id)
  return run === undefined ? id : lastRun(run)
}
