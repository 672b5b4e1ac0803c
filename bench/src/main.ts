/**
 * `npm run bench`: Millrace's figures on this machine, next to control rows. Prints every run, writes all of them to
 * bench/results/latest.json and their medians into the READMEs. Method: bench/README.md. With `engines`: the cost of
 * storage, to bench/results/engines.json. BENCH_REPEATS sets the runs of each measurement, default 3; with fewer, nothing
 * is written.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { type EngineResults, writeEngineFigures } from './engine-figures.ts'
import { measureAppends, measureKept, measureNodes } from './engines.ts'
import { measureFanOut } from './fan-out.ts'
import { type Results, writeFigures } from './figures.ts'
import { measureIdle } from './idle.ts'
import { measureResume } from './resume.ts'
import { measureAttach, measureRuns } from './runs.ts'

const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}, Node ${process.version}, loopback, no TLS`
const repeats = Number(process.env.BENCH_REPEATS ?? 3)
const readers = 1000
const seconds = 5

if (process.argv.includes('engines')) await measureEngines()
else await measureAll()

async function measureAll(): Promise<void> {
  const results: Results = {
    machine,
    date: new Date().toISOString(),
    control: [],
    steady: [],
    fast: [],
    wsSend: [],
    wsSteady: [],
    wsFast: [],
    runs: [],
    wsRuns: [],
    resume: [],
    attach: [],
    idle: [],
  }

  // The control row and Millrace alternate, so that a drift of the machine affects both.
  for (let repeat = 0; repeat < repeats; repeat++) {
    results.control.push(await measureFanOut({ server: 'control', readers, eventsPerSecond: 50, seconds }))
    results.steady.push(await measureFanOut({ server: 'millrace', readers, eventsPerSecond: 50, seconds }))
  }
  print('Fan-out to 1,000 SSE readers at 50 ev/s: control', results.control)
  print('Fan-out to 1,000 SSE readers at 50 ev/s: Millrace', results.steady)

  await repeat('Fan-out to 1,000 SSE readers at 1,000 ev/s, while 600 connections a second are opened', results.fast, () =>
    measureFanOut({ server: 'millrace', readers, eventsPerSecond: 1000, seconds, knocksPerSecond: 600 }),
  )
  for (let count = 0; count < repeats; count++) {
    results.wsSend.push(await measureFanOut({ server: 'ws-send', transport: 'ws', readers, eventsPerSecond: 50, seconds }))
    results.wsSteady.push(await measureFanOut({ server: 'millrace', transport: 'ws', readers, eventsPerSecond: 50, seconds }))
  }
  print('Fan-out to 1,000 WebSocket readers at 50 ev/s: ws.send', results.wsSend)
  print('Fan-out to 1,000 WebSocket readers at 50 ev/s: Millrace', results.wsSteady)

  await repeat(
    'Fan-out to 1,000 WebSocket readers at 1,000 ev/s, while 600 connections a second are opened',
    results.wsFast,
    () => measureFanOut({ server: 'millrace', transport: 'ws', readers, eventsPerSecond: 1000, seconds, knocksPerSecond: 600 }),
  )
  await repeat('500 runs of sim: at 50 tokens/s, one reader each', results.runs, () =>
    measureRuns({ transport: 'sse', runs: 500, tokens: 500 }),
  )
  await repeat('1,000 runs of sim: at 50 tokens/s over WebSockets, one reader each', results.wsRuns, () =>
    measureRuns({ transport: 'ws', runs: 1000, tokens: 500 }),
  )
  await repeat('5,000 WebSocket readers, cut together and back within two seconds', results.resume, () => measureResume(5000))
  await repeat('Attaching to a finished answer of 3,000 tokens', results.attach, () => measureAttach(3000))
  for (const transport of ['sse', 'ws', 'hybrid', 'poll'] as const) results.idle.push(await measureIdle(transport, 2000))
  print('Memory of a connection on which nothing happens', results.idle)

  if (repeats >= 3) save('latest', results)
  console.log(`\n${writeFigures(results, repeats >= 3)}`)
}

/** `npm run bench -- engines`: the cost of storage. */
async function measureEngines(): Promise<void> {
  const rows: EngineResults = { machine, date: new Date().toISOString(), appends: [], runs: [], nodes: [], kept: [] }
  await repeat('Appends of one token, each when the one before it is acknowledged', rows.appends, measureAppends)
  for (let count = 0; count < repeats; count++)
    for (const engine of ['memory', 'sqlite'])
      rows.runs.push(await measureRuns({ transport: 'sse', runs: 200, tokens: 250, engine }))
  print('200 runs of sim: at 50 tokens/s, one reader each, over memory and over SQLite', rows.runs)
  for (const runs of [200, 1000])
    await repeat(`${runs} runs on one server, read on another, over Redis`, rows.nodes, () => measureNodes(runs, 5))
  await repeat('10,000 stored sessions', rows.kept, () => measureKept(10_000))
  if (repeats >= 3) save('engines', rows)
  console.log(`\n${writeEngineFigures(rows, repeats >= 3)}`)
}

function save(name: string, rows: object): void {
  mkdirSync(new URL('../results/', import.meta.url), { recursive: true })
  writeFileSync(new URL(`../results/${name}.json`, import.meta.url), `${JSON.stringify(rows, null, 2)}\n`)
}

async function repeat<Row extends object>(title: string, rows: Row[], measure: () => Promise<Row | Row[]>): Promise<void> {
  const own: Row[] = []
  for (let count = 0; count < repeats; count++) own.push(...([await measure()].flat() as Row[]))
  rows.push(...own)
  print(title, own)
}

function print(title: string, rows: readonly object[]): void {
  console.log(`\n${title}`)
  console.table(rows.map((row) => Object.fromEntries(Object.entries(row).flatMap(([key, value]) => cell(key, value)))))
}

function cell(key: string, value: unknown): [string, unknown][] {
  if (typeof value === 'number') return [[key, Number(value.toPrecision(4))]]
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([inner, each]) => cell(`${key}.${inner}`, each))
  return [[key, value]]
}
