/** Many answers at 50 tokens/s in a dialect of other people's clients: what a token costs, and how soon the first frame comes. */
import { setTimeout } from 'node:timers/promises'
import type { DialectQuestions } from './asking-dialects.ts'
import type { Window } from './load.ts'
import { type Figures, startWorker, type Usage } from './processes.ts'

export interface DialectOptions extends Pick<DialectQuestions, 'dialect'> {
  /** The others are control rows: the AI SDK's own server, and only its writing of a stream, both without a log. */
  readonly server?: 'millrace' | 'ai-sdk-pipe' | 'ai-sdk-writer'
  readonly runs: number
}

const perSecond = 50
/** They start within a second; the window begins a second later. */
const startMs = 2000
const windowMs = 4000
const tokens = ((startMs + windowMs + 1000) / 1000) * perSecond

export async function measureDialect({ server: name = 'millrace', dialect, runs }: DialectOptions): Promise<Figures> {
  const server = startWorker(`./servers/${name}.ts`, ['memory', '', 'bench:due'])
  const load = startWorker('./load.ts')
  try {
    const port = await server.ask<number>('listen')
    await load.ask('askDialect', { port, dialect, count: 50, tokens: 25 })
    const answers = load.ask<Figures>('askDialect', { port, dialect, count: runs, tokens })
    await setTimeout(startMs)
    await Promise.all([server.ask('begin'), load.ask('begin')])
    await setTimeout(windowMs)
    const [usage, window] = await Promise.all([server.ask<Usage>('end'), load.ask<Window>('end')])
    return {
      ...(await answers),
      tokensPerSecond: window.perSecond,
      p50Ms: window.p50Ms,
      p99Ms: window.p99Ms,
      cpuMicrosPerToken: (usage.cpuMs * 1000) / window.deliveries,
      serverCores: usage.cpuMs / usage.wallMs,
      loadCores: window.cpuMs / window.wallMs,
    }
  } finally {
    await Promise.all([load.stop(), server.stop()])
  }
}
