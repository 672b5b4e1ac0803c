/** Appends 1, 2, 3, … to a log in SQLite in batches until it is killed, and prints each batch that was acknowledged. */
import { writeSync } from 'node:fs'
import { sqliteEngine } from 'millrace'

const [folder = '', batch = '1', padding = '0'] = process.argv.slice(2)
const engine = sqliteEngine({ folder, bytesMax: 1e9 })
const pad = 'x'.repeat(Number(padding))
const { position } = await engine.append('log', [])
const keep = setInterval(() => {}, 1000)
let next = position.offset + 1
const append = async (): Promise<void> => {
  for (;;) {
    const events = Array.from({ length: Number(batch) }, () => ({ type: 'n', data: { n: next++, pad } }))
    const { position: last } = await engine.append('log', events)
    say(`${last.offset}\n`)
  }
}

/** Synchronous: a buffer would be lost when the process is killed. */
function say(line: string): void {
  for (;;) {
    try {
      return void writeSync(1, line)
    } catch (error) {
      // The pipe is full; try again.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

await append().finally(() => clearInterval(keep))
