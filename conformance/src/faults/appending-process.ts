/** Appends 1, 2, 3, … to a log in SQLite as fast as it can, in batches, and says each that was acknowledged, until it is killed. */
import { writeSync } from 'node:fs'
import { sqliteEngine } from 'millrace'

const [folder = '', batch = '1'] = process.argv.slice(2)
const engine = sqliteEngine({ folder })
const { position } = await engine.append('log', [])
const keep = setInterval(() => {}, 1000)
let next = position.offset + 1
const goOn = async (): Promise<void> => {
  for (;;) {
    const events = Array.from({ length: Number(batch) }, () => ({ type: 'n', data: { n: next++ } }))
    const { position: last } = await engine.append('log', events)
    say(`${last.offset}\n`)
  }
}

/** At once and whole: what is still in a buffer when the process is killed would not have been said. */
function say(line: string): void {
  for (;;) {
    try {
      return void writeSync(1, line)
    } catch (error) {
      // Again where whoever listens is behind.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

await goOn().finally(() => clearInterval(keep))
