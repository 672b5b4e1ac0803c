/**
 * `npm run bench`: Millrace's figures on this machine, beside control rows. `npm run bench -- <row> …` measures only these.
 * Every row goes to bench/results/<row>.json, and the tables in the READMEs are made from all that is stored there. Method
 * and targets: bench/README.md. BENCH_REPEATS sets the runs of each measurement, default 3; with fewer, nothing is written.
 */
import type { Figures } from './processes.ts'
import { writeTables } from './readme.ts'
import { print, store } from './results.ts'
import { rows } from './rows.ts'

const repeats = Number(process.env.BENCH_REPEATS ?? 3)
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(rows)

for (const name of names) {
  const row = rows[name]
  if (row === undefined) throw new Error(`There is no row "${name}"; rows are ${Object.keys(rows).join(', ')}.`)
  const variants: Record<string, Figures[]> = {}
  for (let repeat = 0; repeat < repeats; repeat++)
    for (const [variant, measure] of Object.entries(row.variants)) {
      variants[variant] ??= []
      variants[variant].push(await measure())
    }
  print(`${name}: ${row.title}`, variants)
  if (repeats >= 3) store(name, variants)
}
if (repeats >= 3) writeTables()
