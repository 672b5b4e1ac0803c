/**
 * Appends 1 to 40 to a log in SQLite, one after the other and each flushed to the disk, and prints the outcome of each;
 * after a rejected one also what can be read.
 */
import { writeSync } from 'node:fs'
import { sqliteEngine } from 'millrace'

const [folder = ''] = process.argv.slice(2)
const engine = sqliteEngine({ folder, durability: 'disk' })
const say = (line: object) => writeSync(1, `${JSON.stringify(line)}\n`)

for (let n = 1; n <= 40; n++) {
  const startedAt = performance.now()
  /** By how much timers of the event loop were late. */
  const lags: number[] = []
  let lastAt = startedAt
  const timer = setInterval(() => {
    const now = performance.now()
    lags.push(Math.max(0, now - lastAt - 5))
    lastAt = now
  }, 5)
  try {
    const { position } = await engine.append('log', [{ type: 'n', data: { n } }])
    say({ n, offset: position.offset, ms: performance.now() - startedAt, lags })
  } catch (error) {
    const { code } = error as { code?: string }
    const head = (await engine.inspect('log').catch(() => undefined))?.head
    const kept = head && (await engine.read('log', { ...head, offset: 0 })).events.length
    say({ n, code, kept })
  }
  clearInterval(timer)
}
await engine.close()
