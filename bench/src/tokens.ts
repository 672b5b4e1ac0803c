/** Many answers at 50 tokens/s with one reader each: how late tokens are, what they cost, and what is written to the disk. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Window } from './load.ts'
import { type Figures, startWorker, type Usage, type Worker } from './processes.ts'

export interface TokensOptions {
  /** `res-write` is the control row: the same tokens from a server without a log. */
  readonly server?: 'res-write' | 'millrace'
  readonly engine?: 'memory' | 'sqlite'
  readonly transport?: 'sse' | 'ws'
  readonly runs: number
}

const perSecond = 50
/** They start within a second; the window begins a second later. */
const startMs = 2000
const windowMs = 4000
const tokens = ((startMs + windowMs + 1000) / 1000) * perSecond

export async function measureTokens(options: TokensOptions): Promise<Figures> {
  const { server: name = 'millrace', engine = 'memory', transport = 'sse', runs } = options
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const server = startWorker(`./servers/${name}.ts`, [engine, folder])
  const load = startWorker('./load.ts')
  try {
    const port = await server.ask<number>('listen')
    await load.ask('ask', { port, transport, count: 50, tokens: 25 })
    const before = engine === 'memory' ? 0 : await server.ask<number>('written')
    const answers = load.ask<number>('ask', { port, transport, count: runs, tokens })
    await setTimeout(startMs)
    await Promise.all([server.ask('begin'), load.ask('begin')])
    await setTimeout(windowMs)
    const [usage, window] = await Promise.all([server.ask<Usage>('end'), load.ask<Window>('end')])
    const complete = await answers
    return {
      tokensPerSecond: window.perSecond,
      complete,
      p50Ms: window.p50Ms,
      p99Ms: window.p99Ms,
      cpuMicrosPerToken: (usage.cpuMs * 1000) / window.deliveries,
      serverCores: usage.cpuMs / usage.wallMs,
      loadCores: window.cpuMs / window.wallMs,
      ...(engine === 'sqlite' && (await measureWritten(server, folder, before, runs * tokens))),
    }
  } finally {
    await Promise.all([load.stop(), server.stop()])
    rmSync(folder, { recursive: true, force: true })
  }
}

/** With everything that the engine writes after the answers: packing, checkpoints, and what closing it writes. */
async function measureWritten(server: Worker, folder: string, before: number, count: number): Promise<Figures> {
  for (let last = Number.NaN; ; await setTimeout(1500)) {
    const written = await server.ask<number>('written')
    if (written === last || Number.isNaN(written)) break
    last = written
  }
  await server.ask('close')
  const kept = readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0)
  return {
    writtenBytesPerToken: ((await server.ask<number>('written')) - before) / count,
    keptBytesPerToken: kept / count,
  }
}
