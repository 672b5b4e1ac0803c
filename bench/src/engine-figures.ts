/** The figures of the engines, as a table for the READMEs. */
import type { AppendRow, KeptRow, NodesRow } from './engines.ts'
import { median, render, replaceFigures } from './figures.ts'
import type { RunsRow } from './runs.ts'

export interface EngineResults {
  readonly machine: string
  readonly date: string
  readonly appends: AppendRow[]
  readonly runs: RunsRow[]
  readonly nodes: NodesRow[]
  readonly kept: KeptRow[]
}

type Words = (figures: ReturnType<typeof describe>) => readonly [string, string][]

const english: Words = (f) => [
  ...f.appends.map(([engine, runs, perSecond, added]): [string, string] => [
    `${engine}, ${runs === '1' ? 'one run' : `${runs} runs at once`}`,
    `${perSecond} appends/s, ${added} ms more than in memory`,
  ]),
  ['CPU per token over SQLite', `${f.ratio} x memory`],
  [
    '1,000 runs at 50 tokens/s, read on another server over Redis',
    `${f.tokens} tokens/s, half within ${f.p50} ms, p99 ${f.p99} ms`,
  ],
  ['start over 10,000 stored sessions, with the first answers', `${f.start} s`],
  ['an answer of 1,000 tokens in SQLite', `${f.bytes} KiB, at rest ${f.packed} KiB`],
]

const chinese: Words = (f) => [
  ...f.appends.map(([engine, runs, perSecond, added]): [string, string] => [
    `${engine}，${runs === '1' ? '一个回答写入' : `${runs} 个回答同时写入`}`,
    `每秒 ${perSecond} 次写入，比内存多 ${added} ms`,
  ]),
  ['SQLite 下每个 token 的 CPU', `内存的 ${f.ratio} 倍`],
  [
    '1,000 个回答、每秒 50 个 token，经 Redis 在另一台服务器上读取',
    `每秒 ${f.tokens} 个 token，半数在 ${f.p50} ms 内，p99 ${f.p99} ms`,
  ],
  ['已存 10,000 个会话时启动，直到最初的应答', `${f.start} 秒`],
  ['SQLite 中一个 1,000 token 的回答', `${f.bytes} KiB，静止后 ${f.packed} KiB`],
]

/** The table in English; with `write` it also replaces the tables in both READMEs. */
export function writeEngineFigures(results: EngineResults, write: boolean): string {
  const figures = describe(results)
  const table = render(english(figures), results)
  if (write) {
    replaceFigures('README.md', 'engine figures', table)
    replaceFigures('README.zh-CN.md', 'engine figures', render(chinese(figures), results))
  }
  return table
}

const shown = [
  ['sqlite', 'SQLite', 1],
  ['sqlite', 'SQLite', 1000],
  ['sqlite, to the disk', 'SQLite, `disk`', 1000],
  ['redis', 'Redis', 1000],
  ['nats', 'NATS', 1000],
] as const

function describe({ appends, runs, nodes, kept }: EngineResults) {
  const whole = (values: number[]) => Math.round(median(values)).toLocaleString('en')
  const cpuOf = (engine: string) => median(runs.filter((row) => row.engine === engine).map((row) => row.cpuMicrosPerToken))
  const two = nodes.filter((row) => row.runs === 1000)
  return {
    appends: shown.map(([engine, name, count]) => {
      const rows = appends.filter((row) => row.engine === engine && row.runs === count)
      const added = median(rows.map((row) => row.addedMs))
      return [name, count.toLocaleString('en'), whole(rows.map((row) => row.appendsPerSecond)), added.toPrecision(2)] as const
    }),
    ratio: (cpuOf('sqlite') / cpuOf('memory')).toFixed(2),
    tokens: whole(two.map((row) => row.tokensPerSecond)),
    p50: whole(two.map((row) => row.p50Ms)),
    p99: whole(two.map((row) => row.p99Ms)),
    start: (median(kept.map((row) => row.startMs)) / 1000).toFixed(1),
    bytes: whole(kept.map((row) => row.bytesPerAnswer / 1024)),
    packed: whole(kept.map((row) => row.compactedBytesPerAnswer / 1024)),
  }
}
