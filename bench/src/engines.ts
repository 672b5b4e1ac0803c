/** The cost of storage: each engine alone, the same runs over memory and SQLite, and two servers over one Redis. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startNats, startRedis } from '@millrace/conformance'
import { createMillrace, type Engine } from 'millrace'
import type { Window } from './load.ts'
import { startWorker, type Usage } from './processes.ts'
import { openEngine } from './servers/open-engine.ts'

export interface AppendRow {
  readonly engine: string
  readonly runs: number
  readonly appendsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** The p50 minus that of memory with as many runs: the delay of a token that storage adds. */
  readonly addedMs: number
  readonly cpuMicrosPerAppend: number
}

export async function measureAppends(): Promise<AppendRow[]> {
  const redis = await startRedis()
  const nats = await startNats()
  const rows: AppendRow[] = []
  for (const [engine, name] of [
    ['memory', 'memory'],
    ['sqlite', 'sqlite'],
    ['sqlite, to the disk', 'sqlite:disk'],
    ['redis', redis.url],
    ['nats', nats.url],
  ] as const) {
    const worker = startWorker('./servers/engine.ts', [name])
    for (const runs of [1, 100, 1000]) {
      const row = await worker.ask<AppendRow>('append', { runs, seconds: 3 })
      const memory = rows.find((each) => each.engine === 'memory' && each.runs === runs) ?? row
      rows.push({ ...row, engine, runs, addedMs: row.p50Ms - memory.p50Ms })
    }
    await worker.stop()
  }
  await Promise.all([redis.close(), nats.close()])
  return rows
}

export interface NodesRow {
  readonly runs: number
  readonly tokensPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly writingCores: number
  readonly readingCores: number
}

/** Runs on one server at 50 tokens/s, with a reader for each on the other; the age of a token when its reader gets it. */
export async function measureNodes(runs: number, seconds: number): Promise<NodesRow> {
  const redis = await startRedis()
  const writing = startWorker('./servers/millrace.ts', [redis.url])
  const reading = startWorker('./servers/millrace.ts', [redis.url])
  const load = startWorker('./load.ts')
  try {
    await writing.ask('listen')
    const port = await reading.ask<number>('listen')
    const sessions = Array.from({ length: runs }, (_, index) => `bench-${index}`)
    for (const session of sessions) await writing.ask('createSession', session)
    await load.ask('openEach', { port, paths: sessions.map((session) => `/api/stream?session=${session}&from=now`) })
    await writing.ask('publishAll', { sessions, perSecond: 50 })
    await new Promise((resolve) => setTimeout(resolve, 2000))
    for (const worker of [writing, reading, load]) await worker.ask('begin')
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
    const { perSecond, p50Ms, p99Ms } = await load.ask<Window>('end')
    const cores = ({ cpuMs, wallMs }: Usage) => cpuMs / wallMs
    return {
      runs,
      tokensPerSecond: perSecond,
      p50Ms,
      p99Ms,
      writingCores: cores(await writing.ask<Usage>('end')),
      readingCores: cores(await reading.ask<Usage>('end')),
    }
  } finally {
    await load.stop()
    await Promise.all([writing.stop(), reading.stop()])
    await redis.close()
  }
}

export interface KeptRow {
  readonly sessions: number
  /** From the start of the process to its first responses: the page's list of sessions, and one of them. */
  readonly startMs: number
  /** Of one answer of 1,000 tokens, each in its own batch. */
  readonly bytesPerAnswer: number
  /** The same, compacted. */
  readonly compactedBytesPerAnswer: number
}

export async function measureKept(sessions: number): Promise<KeptRow> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    const first = openEngine('sqlite', folder)
    const answer = async (engine: Engine, log: string, tokens: number) => {
      const run = `${log}-run-of-some-length`
      await engine.append(log, [{ type: 'stream_start', data: { run, session: log, query: 'count', lanes: [] } }])
      for (let token = 1; token <= tokens; token++)
        await engine.append(log, [{ type: 'message', data: { run, lane: 'sim:count', text: `${token} ` } }])
      await engine.append(log, [{ type: 'stream_end', data: { run, status: 'completed' } }])
    }
    await Promise.all(Array.from({ length: 50 }, (_, index) => answer(first, `whole-${index}`, 1000)))
    await first.close()
    const bytesPerAnswer = sizeOf(folder) / 50
    const compactedBytesPerAnswer = await measureCompacted(answer)
    const millrace = createMillrace({ engine: openEngine('sqlite', folder), model: 'sim:count?n=20&tps=0' })
    for (let done = 0; done < sessions; done += 200)
      await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          const session = `session-${done + index}`
          await millrace.engine.append(session, [])
          await (await millrace.ask({ query: 'count', session })).ended
        }),
      )
    await millrace.close()
    return { sessions, startMs: await timeStart(folder), bytesPerAnswer, compactedBytesPerAnswer }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** One answer after another, each compacted at its end, as runs do. */
async function measureCompacted(answer: (engine: Engine, log: string, tokens: number) => Promise<void>): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    const engine = openEngine('sqlite', folder)
    for (let index = 0; index < 50; index++) {
      await answer(engine, `whole-${index}`, 1000)
      await engine.compact?.(`whole-${index}`)
    }
    await engine.close()
    return sizeOf(folder) / 50
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function timeStart(folder: string): Promise<number> {
  const cli = fileURLToPath(new URL('../../packages/server/src/cli/index.ts', import.meta.url))
  const started = performance.now()
  const server = spawn(process.execPath, ['--conditions=source', cli, '--port', '0', '--model', 'sim:count', '--data', folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for (let output = ''; ; ) {
    output += String(await once(server.stdout, 'data'))
    const url = /API {4}(http:\S+)\/api\/openapi\.json/.exec(output)?.[1]
    if (url === undefined) continue
    for (const path of ['', '/session-1']) {
      const { status } = await fetch(`${url}/api/sessions${path}`)
      if (status !== 200) throw new Error(`/api/sessions${path} answered ${status}.`)
    }
    const ms = performance.now() - started
    const ended = once(server, 'exit')
    server.kill()
    await ended
    return ms
  }
}

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0)
}
