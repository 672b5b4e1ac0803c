/** A run of what is shown, by its id. */
import type { Chat } from './chat.ts'
import { type ChatRun, lastRun } from './fold.ts'

/** Built once for all components that look for a run of their own. */
const indexes = new WeakMap<Chat['runs'], ReadonlyMap<string, ChatRun>>()

/** The run with this id, which is the same object until it changes; undefined until it is in the transcript. */
export function findRun({ runs }: Pick<Chat, 'runs'>, id: string): ChatRun | undefined {
  const index = indexes.get(runs) ?? new Map(runs.map((run) => [run.run, run]))
  indexes.set(runs, index)
  return index.get(id)
}

/** The id of the run to stop or to continue. */
export function findLast(shown: Pick<Chat, 'runs'>, id: string): string {
  const run = findRun(shown, id)
  return run === undefined ? id : lastRun(run)
}
