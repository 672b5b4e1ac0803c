/** The tables in the READMEs, made from the stored results: no figure there is typed by hand. */
import { readFileSync, writeFileSync } from 'node:fs'
import { quantile } from './reader.ts'
import { loadResult } from './results.ts'

/** A line of the table: what is measured and what came out, in English and in Chinese. */
type Line = (row: Figure) => { readonly en: readonly [string, string]; readonly zh: readonly [string, string] }

/** The median of a figure of a variant. */
type Figure = (variant: string, figure: string, digits?: number) => string

const lines: readonly (readonly [row: string, Line])[] = [
  [
    'fan-out-50',
    (f) => {
      const of = (variant: string) => f(variant, 'cpuMicrosPerDelivery', 1)
      const against = (control: string) =>
        `SSE ${of('sse')} µs (${control} ${of('control')}), WebSocket ${of('ws')} µs (\`ws.send\` ${of('ws-send')})`
      return {
        en: ['one log to 1,000 readers, 50 events/s: CPU per delivery', against('a bare socket server')],
        zh: ['一个日志、1,000 个读者、每秒 50 个事件：每次投递的 CPU', against('裸套接字服务器')],
      }
    },
  ],
  ['fan-out-1000', (f) => fanOut(f, '1,000')],
  ['fan-out-2000', (f) => fanOut(f, '2,000')],
  [
    'accepts',
    (f) => ({
      en: [
        'at 1,000 events/s, 600 connections/s are opened',
        `SSE lets in ${f('sse', 'acceptsPerSecond')} of them, p99 ${f('sse', 'p99Ms')} ms; WebSocket ${f('ws', 'acceptsPerSecond')}, ${f('ws', 'p99Ms')} ms`,
      ],
      zh: [
        '每秒 1,000 个事件时，每秒新建 600 个连接',
        `SSE 接入 ${f('sse', 'acceptsPerSecond')} 个，p99 ${f('sse', 'p99Ms')} ms；WebSocket ${f('ws', 'acceptsPerSecond')} 个，${f('ws', 'p99Ms')} ms`,
      ],
    }),
  ],
  ['tokens-200', (f) => tokens(f, '200')],
  ['tokens-1000', (f) => tokens(f, '1,000')],
  [
    'tokens-1000',
    (f) => ({
      en: ['written to the disk by SQLite, with all later packing', `${f('sqlite', 'writtenBytesPerToken')} bytes per token`],
      zh: ['SQLite 写入磁盘的字节，包括之后的打包', `每个 token ${f('sqlite', 'writtenBytesPerToken')} 字节`],
    }),
  ],
  [
    'idle',
    (f) => {
      const each = (variant: string) => f(variant, 'kibPerConnection', 1)
      const all = (poll: string) =>
        `SSE ${each('sse')} KiB, WebSocket ${each('ws')} KiB, hybrid ${each('hybrid')} KiB, ${poll} ${each('poll')} KiB`
      return { en: ['one more idle connection', all('long-poll')], zh: ['每多一条空闲连接', all('长轮询')] }
    },
  ],
  [
    'long-session',
    (f) => ({
      en: [
        'a session of 100,000 events in SQLite',
        `one more question ${f('sqlite', 'askMs', 1)} ms, reading the conversation ${f('sqlite', 'getMs', 1)} ms`,
      ],
      zh: [
        'SQLite 中一个 100,000 个事件的会话',
        `再问一个问题 ${f('sqlite', 'askMs', 1)} ms，读取整个对话 ${f('sqlite', 'getMs', 1)} ms`,
      ],
    }),
  ],
  [
    'resume',
    (f) => ({
      en: [
        '5,000 WebSocket readers cut together, back within 2 s',
        `each has every event once, all within ${f('ws', 'withinMs')} ms`,
      ],
      zh: ['5,000 个 WebSocket 读者同时断开，2 秒内陆续回来', `每个都不缺不重，全部在 ${f('ws', 'withinMs')} ms 内`],
    }),
  ],
  [
    'attach',
    (f) => ({
      en: ['attaching to a finished answer of 3,000 tokens', `${f('sse', 'frames')} frames in ${f('sse', 'withinMs', 1)} ms`],
      zh: ['接入一个 3,000 token 的已完成回答', `${f('sse', 'frames')} 帧，${f('sse', 'withinMs', 1)} ms`],
    }),
  ],
  [
    'start',
    (f) => ({
      en: ['start over 10,000 stored sessions, with the first answers', `${f('sqlite', 'startMs')} ms`],
      zh: ['已存 10,000 个会话时启动，直到最初的应答', `${f('sqlite', 'startMs')} ms`],
    }),
  ],
  [
    'appends',
    (f) => {
      const each = (variant: string) => f(variant, 'appendsPerSecond, 1,000 runs')
      const all = `SQLite ${each('sqlite')}/s, \`disk\` ${each('sqlite:disk')}/s, Redis ${each('redis')}/s, NATS ${each('nats')}/s`
      return { en: ['appends of 1,000 runs at once, engine alone', all], zh: ['1,000 个回答同时写入，仅引擎', all] }
    },
  ],
  [
    'nodes',
    (f) => ({
      en: [
        '1,000 answers at 50 tokens/s, read on another server over Redis',
        `${f('redis', 'tokensPerSecond')} tokens/s, p50 ${f('redis', 'p50Ms')} ms, p99 ${f('redis', 'p99Ms')} ms`,
      ],
      zh: [
        '1,000 个回答、每秒 50 个 token，经 Redis 在另一台服务器上读取',
        `每秒 ${f('redis', 'tokensPerSecond')} 个 token，p50 ${f('redis', 'p50Ms')} ms，p99 ${f('redis', 'p99Ms')} ms`,
      ],
    }),
  ],
]

function fanOut(f: Figure, rate: string): ReturnType<Line> {
  const each = (name: string, variant: string) =>
    `${name} ${f(variant, 'cpuMicrosPerDelivery', 2)} µs, p50 ${f(variant, 'p50Ms', 1)} ms`
  const both = `${each('SSE', 'sse')}; ${each('WebSocket', 'ws')}`
  return {
    en: [`the same at ${rate} events/s: CPU per delivery, delay`, both],
    zh: [`每秒 ${rate} 个事件时：每次投递的 CPU 与延迟`, both],
  }
}

function tokens(f: Figure, runs: string): ReturnType<Line> {
  const each = (name: string, variant: string) =>
    `${name} ${f(variant, 'cpuMicrosPerToken', 1)} µs, p50 ${f(variant, 'p50Ms', 1)} ms, p99 ${f(variant, 'p99Ms')} ms`
  return {
    en: [
      `${runs} answers at 50 tokens/s: CPU per token, delay of a token`,
      `${each('in memory', 'memory')}; ${each('SQLite', 'sqlite')} (\`res.write\` without a log: ${f('res-write', 'cpuMicrosPerToken', 1)} µs)`,
    ],
    zh: [
      `${runs} 个回答、每秒 50 个 token：每个 token 的 CPU 与延迟`,
      `${each('内存', 'memory')}；${each('SQLite', 'sqlite')}（没有日志的 \`res.write\`：${f('res-write', 'cpuMicrosPerToken', 1)} µs）`,
    ],
  }
}

/** Replaces the tables in both READMEs. A row without a stored result is left out. */
export function writeTables(): void {
  const results = lines.flatMap(([row, line]) => {
    const result = loadResult(row)
    if (result === undefined) return []
    const figure: Figure = (variant, name, digits = 0) => {
      const value = quantile(
        (result.variants[variant] ?? []).map((run) => run[name] ?? Number.NaN),
        0.5,
      )
      return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
    }
    return [{ ...line(figure), machine: result.machine, date: result.date.slice(0, 10) }]
  })
  const machines = [...new Set(results.map(({ machine }) => machine))].join('; ')
  const dates = results.map(({ date }) => date).sort()
  const when = [...new Set([dates[0], dates.at(-1)])].join(' – ')
  for (const [file, language] of [
    ['README.md', 'en'],
    ['README.zh-CN.md', 'zh'],
  ] as const) {
    const cells = (each: (typeof results)[number]) => (language === 'zh' ? each.zh.map(inChinese) : each.en)
    const table = results.map((each) => `| ${cells(each).join(' | ')} |`).join('\n')
    replace(file, `| | |\n|---|---|\n${table}\n\n<sub>${machines}, ${when}</sub>`)
  }
}

/** The punctuation of figures that both languages share. */
function inChinese(text: string): string {
  return text
    .replaceAll(', ', '，')
    .replaceAll('; ', '；')
    .replace(/ \(([^)]*)\)/g, '（$1）')
}

function replace(file: string, table: string): void {
  const path = new URL(`../../${file}`, import.meta.url)
  const text = readFileSync(path, 'utf8')
  writeFileSync(
    path,
    text.replace(/<!-- figures -->[\s\S]*<!-- \/figures -->/, () => `<!-- figures -->\n${table}\n<!-- /figures -->`),
  )
}
