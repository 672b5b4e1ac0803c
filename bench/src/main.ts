/**
 * `npm run bench`: Millrace's figures on this machine, beside a control row. Method and how to read it:
 * bench/README.md. Prints tables and writes them to bench/results/latest.json.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { type FanOutOptions, type FanOutRow, measureFanOut } from './fan-out.ts'
import { measureAttach, measureRuns } from './runs.ts'

const repeats = Number(process.env.BENCH_REPEATS ?? 3)
const results: Record<string, unknown> = {
  machine: `${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}, loopback, no TLS`,
  date: new Date().toISOString(),
}

await fanOut('Fan-out, 1,000 SSE readers, 50 ev/s', { readers: 1000, eventsPerSecond: 50, seconds: 5 }, ['control', 'millrace'])
await fanOut('Fan-out, 1,000 SSE readers, 1,000 ev/s, 600 new connections/s', {
  readers: 1000, eventsPerSecond: 1000, seconds: 5, knocksPerSecond: 600,
}, ['millrace'])
await table('500 runs of sim: at 50 tokens/s, one reader each', () => measureRuns({ runs: 500, tokens: 300 }))
await table('Attaching to a finished answer', () => measureAttach(3000))

mkdirSync(new URL('../results/', import.meta.url), { recursive: true })
writeFileSync(new URL('../results/latest.json', import.meta.url), `${JSON.stringify(results, null, 2)}\n`)

async function fanOut(title: string, options: Omit<FanOutOptions, 'server'>, servers: FanOutRow['server'][]): Promise<void> {
  const rows: FanOutRow[] = []
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const server of servers) rows.push(await measureFanOut({ ...options, server }))
  }
  results[title] = rows
  console.log(`\n${title}`)
  console.table(rows.map(({ knocks, ...row }) => ({
    ...rounded(row),
    ...(knocks && { 'accepts/s': Math.round(knocks.perSecond), 'accept p99 ms': Math.round(knocks.p99Ms) }),
  })))
  const of = (server: string) => median(rows.filter((row) => row.server === server).map((row) => row.cpuMicrosPerDelivery))
  if (servers.includes('control')) console.log(`CPU per delivery, Millrace / control: ${(of('millrace') / of('control')).toFixed(2)}`)
}

async function table<Row extends object>(title: string, measure: () => Promise<Row>): Promise<void> {
  const rows: Row[] = []
  for (let repeat = 0; repeat < repeats; repeat++) rows.push(await measure())
  results[title] = rows
  console.log(`\n${title}`)
  console.table(rows.map(rounded))
}

function rounded(row: object): object {
  return Object.fromEntries(
    Object.entries(row).map(([key, value]) => [key, typeof value === 'number' ? Number(value.toPrecision(4)) : value]),
  )
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
