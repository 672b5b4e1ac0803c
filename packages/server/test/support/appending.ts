/** Appends numbers to a log until it is killed, and prints each that was acknowledged. */
import { sqliteEngine } from '../../src/engines/sqlite/index.ts'

const engine = sqliteEngine({ folder: process.argv[2] as string })
const state = await engine.inspect('a')
let next = (state?.head.offset ?? 0) + 1
// Several at once, so that a kill always interrupts a group.
await Promise.all(
  Array.from({ length: 8 }, async () => {
    for (;;) {
      const batch = [next++, next++, next++].map((n) => ({ type: 'n', data: { n } }))
      const { position } = await engine.append('a', batch)
      process.stdout.write(`${position.epoch} ${position.offset}\n`)
    }
  }),
)
