/** The stored results: bench/results/<row>.json, with every run. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import type { Figures } from './processes.ts'
import { quantile } from './reader.ts'

export interface Result {
  readonly machine: string
  readonly date: string
  /** The runs of each variant. */
  readonly variants: Readonly<Record<string, readonly Figures[]>>
}

const folder = new URL('../results/', import.meta.url)

export function store(row: string, variants: Result['variants']): void {
  const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}, Node ${process.version}, loopback, no TLS`
  mkdirSync(folder, { recursive: true })
  const result: Result = { machine, date: new Date().toISOString(), variants }
  writeFileSync(new URL(`${row}.json`, folder), `${JSON.stringify(result, null, 2)}\n`)
}

export function loadResult(row: string): Result | undefined {
  try {
    return JSON.parse(readFileSync(new URL(`${row}.json`, folder), 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** The medians, and in brackets the lowest and the highest. */
export function print(title: string, variants: Result['variants']): void {
  const figures = [...new Set(Object.values(variants).flatMap((runs) => runs.flatMap((run) => Object.keys(run))))]
  const line = (figure: string) =>
    Object.fromEntries(
      Object.entries(variants).map(([variant, runs]) => [variant, spread(runs.flatMap((run) => run[figure] ?? []))]),
    )
  console.log(`
${title}`)
  console.table(Object.fromEntries(figures.map((figure) => [figure, line(figure)])))
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return ''
  const [middle, low, high] = [quantile(values, 0.5), Math.min(...values), Math.max(...values)].map((value) =>
    value.toLocaleString('en', { maximumSignificantDigits: value >= 1000 ? 6 : 3 }),
  )
  return values.length === 1 ? `${middle}` : `${middle} (${low}-${high})`
}
