/** Many runs with one reader each; and attaching to a finished answer. */
import { setTimeout } from 'node:timers/promises'
import type { ManyRuns, Window } from './load.ts'
import { startWorker, type Usage } from './processes.ts'

/** Runs start within a second; after one more all of them are in progress. */
const startMs = 2000

export interface RunsRow {
  readonly transport: 'sse' | 'ws'
  readonly engine: string
  readonly runs: number
  /** Deliveries while all runs are in progress: without their starts and ends. */
  readonly tokensPerSecond: number
  readonly complete: number
  /** How much longer a run took than its tokens at 50 a second. */
  readonly p50LagMs: number
  readonly p99LagMs: number
  readonly cpuMicrosPerToken: number
  readonly serverCores: number
}

export async function measureRuns({
  transport,
  runs,
  tokens,
  engine = 'memory',
}: Pick<ManyRuns, 'transport' | 'runs' | 'tokens'> & { readonly engine?: string }): Promise<RunsRow> {
  const server = startWorker('./servers/millrace.ts', [engine])
  const load = startWorker('./load.ts')
  try {
    const port = await server.ask<number>('listen')
    await load.ask('runs', { port, transport, runs: 50, tokens: 50 })
    const nominalMs = (tokens / 50) * 1000
    await server.ask('begin')
    const running = load.ask<{ complete: number; p50Ms: number; p99Ms: number }>('runs', { port, transport, runs, tokens })
    await setTimeout(startMs)
    await load.ask('begin')
    await setTimeout(nominalMs - startMs)
    const { perSecond } = await load.ask<Window>('end')
    const { complete, p50Ms, p99Ms } = await running
    const usage = await server.ask<Usage>('end')
    return {
      transport,
      engine,
      runs,
      tokensPerSecond: perSecond,
      complete,
      p50LagMs: p50Ms - nominalMs,
      p99LagMs: p99Ms - nominalMs,
      cpuMicrosPerToken: (usage.cpuMs * 1000) / (runs * tokens),
      serverCores: usage.cpuMs / usage.wallMs,
    }
  } finally {
    await Promise.all([load.stop(), server.stop()])
  }
}

export interface AttachRow {
  readonly tokens: number
  readonly frames: number
  readonly bytes: number
  readonly withinMs: number
}

export async function measureAttach(tokens: number): Promise<AttachRow> {
  const server = startWorker('./servers/millrace.ts')
  const load = startWorker('./load.ts')
  try {
    const port = await server.ask<number>('listen')
    const base = `http://127.0.0.1:${port}`
    const answer = await fetch(`${base}/api/chat?query=go&model=${encodeURIComponent(`sim:count?n=${tokens}&tps=0`)}`)
    const text = await answer.text()
    const [session = '', position = ''] = (text.match(/^id: (.*)$/gm)?.at(-1) ?? '').slice(4).split(':')
    const head = Number(position.slice(position.indexOf('-') + 1))
    const path = `/api/stream?session=${session}`
    await load.ask('attach', { port, path, head })
    const { frames, bytes, withinMs, complete } = await load.ask<AttachRow & { complete: boolean }>('attach', {
      port,
      path,
      head,
    })
    if (!complete) throw new Error('The answer did not arrive whole.')
    return { tokens, frames, bytes, withinMs }
  } finally {
    await Promise.all([load.stop(), server.stop()])
  }
}
