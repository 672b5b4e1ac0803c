/** The medians of a benchmark run as tables, written into the READMEs: no figure there is typed by hand. */
import { readFileSync, writeFileSync } from 'node:fs'
import type { FanOutRow } from './fan-out.ts'
import type { IdleRow } from './idle.ts'
import type { ResumeRow } from './resume.ts'
import type { AttachRow, RunsRow } from './runs.ts'

export interface Results {
  readonly machine: string
  readonly date: string
  readonly control: FanOutRow[]
  readonly steady: FanOutRow[]
  readonly fast: FanOutRow[]
  /** WebSocket: `ws.send` as the control row, and Millrace. */
  readonly wsSend: FanOutRow[]
  readonly wsSteady: FanOutRow[]
  readonly wsFast: FanOutRow[]
  readonly runs: RunsRow[]
  readonly wsRuns: RunsRow[]
  readonly resume: ResumeRow[]
  readonly attach: AttachRow[]
  readonly idle: IdleRow[]
}

const names = { sse: 'SSE', ws: 'WebSocket', hybrid: 'hybrid', poll: 'long-poll' }

type Words = (figures: Record<string, string>) => readonly [string, string][]

const english: Words = (f) => [
  ['one log to 1,000 readers, 50 events/s', `${f.steadyCpu} µs CPU per delivery, ${f.ratio} x a bare socket server`],
  [
    'one log to 1,000 readers, 1,000 events/s',
    `${f.deliveries} deliveries/s, p99 ${f.p99} ms, while ${f.accepts} new connections/s are let in`,
  ],
  ['the same over WebSockets, 50 events/s', `${f.wsCpu} µs CPU per delivery, ${f.wsRatio} x \`ws.send\``],
  [
    'the same over WebSockets, 1,000 events/s',
    `${f.wsDeliveries} deliveries/s, p99 ${f.wsP99} ms, while ${f.wsAccepts} new connections/s are let in`,
  ],
  ['500 runs at 50 tokens/s, one reader each', `${f.complete} complete, p99 ${f.lag} ms behind, ${f.tokenCpu} µs CPU per token`],
  [
    '1,000 runs at 50 tokens/s over WebSockets, one reader each',
    `${f.wsComplete} complete, ${f.wsTokens} tokens/s, half at most ${f.wsLag} ms behind, p99 ${f.wsWorstLag} ms; ${f.wsTokenCpu} µs CPU per token`,
  ],
  ['5,000 WebSocket readers cut together, back within 2 s', `${f.whole} have every event once, all within ${f.resumeS} s`],
  ['attaching to a finished answer of 3,000 tokens', `${f.frames} frames in ${f.attachMs} ms`],
  ['a connection on which nothing happens', `${f.idle}`],
]

const chinese: Words = (f) => [
  ['一个日志、1,000 个读者、每秒 50 个事件', `每次投递 ${f.steadyCpu} µs CPU，是裸套接字服务器的 ${f.ratio} 倍`],
  [
    '一个日志、1,000 个读者、每秒 1,000 个事件',
    `每秒 ${f.deliveries} 次投递，p99 ${f.p99} ms，同时每秒接入 ${f.accepts} 个新连接`,
  ],
  ['换成 WebSocket，每秒 50 个事件', `每次投递 ${f.wsCpu} µs CPU，是 \`ws.send\` 的 ${f.wsRatio} 倍`],
  ['换成 WebSocket，每秒 1,000 个事件', `每秒 ${f.wsDeliveries} 次投递，p99 ${f.wsP99} ms，同时每秒接入 ${f.wsAccepts} 个新连接`],
  ['500 个回答、每秒 50 个 token、各一个读者', `${f.complete} 个完整，p99 落后 ${f.lag} ms，每个 token ${f.tokenCpu} µs CPU`],
  [
    '1,000 个回答、每秒 50 个 token，WebSocket，各一个读者',
    `${f.wsComplete} 个完整，每秒 ${f.wsTokens} 个 token，半数落后不超过 ${f.wsLag} ms，p99 ${f.wsWorstLag} ms；每个 token ${f.wsTokenCpu} µs CPU`,
  ],
  ['5,000 个 WebSocket 读者同时断开，2 秒内陆续回来', `${f.whole} 个不缺不重，全部在 ${f.resumeS} 秒内`],
  ['接入一个 3,000 token 的已完成回答', `${f.frames} 帧，${f.attachMs} ms`],
  ['一条空闲连接', `${f.idle}`],
]

/** The table in English; with `write` it also replaces the tables in both READMEs. */
export function writeFigures(results: Results, write: boolean): string {
  const figures = describe(results)
  const table = render(english(figures), results)
  if (write) {
    replaceFigures('README.md', 'figures', table)
    replaceFigures('README.zh-CN.md', 'figures', render(chinese(figures), results))
  }
  return table
}

function describe({
  control,
  steady,
  fast,
  wsSend,
  wsSteady,
  wsFast,
  runs,
  wsRuns,
  resume,
  attach,
  idle,
}: Results): Record<string, string> {
  const whole = (rows: readonly FanOutRow[], of: (row: FanOutRow) => number) => String(Math.round(median(rows.map(of))))
  const deliveries = (rows: readonly FanOutRow[]) =>
    Math.round(median(rows.map((row) => row.deliveriesPerSecond))).toLocaleString('en')
  const cpu = (rows: readonly FanOutRow[]) => median(rows.map((row) => row.cpuMicrosPerDelivery))
  return {
    steadyCpu: cpu(steady).toFixed(1),
    ratio: (cpu(steady) / cpu(control)).toFixed(2),
    deliveries: deliveries(fast),
    p99: whole(fast, (row) => row.p99Ms),
    accepts: whole(fast, (row) => row.knocks?.perSecond ?? 0),
    wsCpu: cpu(wsSteady).toFixed(1),
    wsRatio: (cpu(wsSteady) / cpu(wsSend)).toFixed(2),
    wsDeliveries: deliveries(wsFast),
    wsP99: whole(wsFast, (row) => row.p99Ms),
    wsAccepts: whole(wsFast, (row) => row.knocks?.perSecond ?? 0),
    complete: String(Math.min(...runs.map((row) => row.complete))),
    lag: String(Math.max(0, Math.round(median(runs.map((row) => row.p99LagMs))))),
    tokenCpu: median(runs.map((row) => row.cpuMicrosPerToken)).toFixed(0),
    wsComplete: String(Math.min(...wsRuns.map((row) => row.complete))),
    wsTokens: Math.round(median(wsRuns.map((row) => row.tokensPerSecond))).toLocaleString('en'),
    wsLag: String(Math.max(0, Math.round(median(wsRuns.map((row) => row.p50LagMs))))),
    wsWorstLag: Math.max(0, Math.round(median(wsRuns.map((row) => row.p99LagMs)))).toLocaleString('en'),
    wsTokenCpu: median(wsRuns.map((row) => row.cpuMicrosPerToken)).toFixed(0),
    whole: Math.min(...resume.map((row) => row.whole)).toLocaleString('en'),
    resumeS: (median(resume.map((row) => row.withinMs)) / 1000).toFixed(1),
    idle: idle.map((row) => `${names[row.transport]} ${row.kibPerConnection.toFixed(0)} KiB`).join(', '),
    frames: String(median(attach.map((row) => row.frames))),
    attachMs: median(attach.map((row) => row.withinMs)).toFixed(1),
  }
}

export function render(rows: readonly [string, string][], { machine, date }: { machine: string; date: string }): string {
  return [
    '| | |',
    '|---|---|',
    ...rows.map(([what, figure]) => `| ${what} | ${figure} |`),
    '',
    `<sub>${machine}, ${date.slice(0, 10)}</sub>`,
  ].join('\n')
}

export function replaceFigures(file: string, name: string, table: string): void {
  const path = new URL(`../../${file}`, import.meta.url)
  const text = readFileSync(path, 'utf8')
  const old = new RegExp(`<!-- ${name} -->[\\s\\S]*<!-- /${name} -->`)
  writeFileSync(path, text.replace(old, `<!-- ${name} -->\n${table}\n<!-- /${name} -->`))
}

export function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
