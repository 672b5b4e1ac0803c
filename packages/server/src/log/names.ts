/** Walks the names of logs, of which `Engine.list` returns pages. */
import type { Engine } from './log.ts'

/** Names in one page. */
export const namesMax = 1000

/** The names that begin with `prefix`. Each may be deleted before the next is asked for. */
export async function* walkNames(engine: Pick<Engine, 'list'>, prefix: string): AsyncGenerator<string> {
  for (let after: string | undefined; ; ) {
    const names = await engine.list(prefix, after)
    yield* names
    if (names.length < namesMax) return
    after = names.at(-1)
  }
}
