/** A process that appends numbers to a log and says each that was acknowledged, until it is killed. */
import { sqliteEngine } from '../../src/engines/sqlite/index.ts'

const engine = sqliteEngine({ folder: process.argv[2] as string })
const state = await engine.inspect('a')
let next = (state?.head.offset ?? 0) + 1
// Several at once, so that a group is under way whenever it ends.
await Promise.all(
  Array.from({ length: 8 }, async () => {
    for (;;) {
      const batch = [next++, next++, next++].map((n) => ({ type: 'n', data: { n } }))
      const { position } = await engine.append('a', batch)
      process.stdout.write(`${position.epoch} ${position.offset}\n`)
    }
  }),
)
