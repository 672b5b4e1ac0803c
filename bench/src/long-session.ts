/** A conversation of 100,000 events: what one more question in it costs, and the list of its answers. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Figures, startWorker } from './processes.ts'
import { quantile } from './reader.ts'

const events = 100_000

export async function measureLongSession(engine: 'memory' | 'sqlite'): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  let server = startWorker('./servers/millrace.ts', [engine, folder])
  try {
    let base = `http://127.0.0.1:${await server.ask<number>('listen')}`
    for (const [session, count] of [
      ['long', events],
      ['other', events],
      ['short', 0],
    ] as const)
      await server.ask('fill', { session, events: count })
    const figures = {
      askMs: await median(9, () => ask(base, 'long')),
      askInShortMs: await median(9, () => ask(base, 'short')),
      /** After questions and reads in other sessions, one of them as long. */
      askAfterOthersMs: await median(5, async () => {
        await ask(base, 'other')
        await ask(base, 'short')
        return ask(base, 'long')
      }),
      getMs: await median(9, () => get(base, 'long')),
    }
    if (engine === 'memory') return figures
    await server.ask('close')
    await server.stop()
    server = startWorker('./servers/millrace.ts', [engine, folder])
    base = `http://127.0.0.1:${await server.ask<number>('listen')}`
    const firstGetMs = await get(base, 'long')
    await ask(base, 'short')
    return { ...figures, firstGetAfterStartMs: firstGetMs, firstAskAfterStartMs: await ask(base, 'other') }
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The whole exchange, with an empty answer of a model that does not read the conversation. */
function ask(base: string, session: string): Promise<number> {
  return time(`${base}/api/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '0', session, model: 'bench:due' }),
  })
}

const get = (base: string, session: string): Promise<number> => time(`${base}/api/sessions/${session}`)

async function time(url: string, init?: RequestInit): Promise<number> {
  const started = performance.now()
  const response = await fetch(url, init)
  const text = await response.text()
  if (response.status !== 200) throw new Error(text)
  return performance.now() - started
}

async function median(count: number, measure: () => Promise<number>): Promise<number> {
  const times: number[] = []
  for (let n = 0; n < count; n++) times.push(await measure())
  return quantile(times, 0.5)
}
