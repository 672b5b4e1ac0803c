/** `millrace start --workers`: several processes behind one port, over a real Redis. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it, onTestFinished } from 'vitest'
import { startRedis } from '../src/servers/redis.ts'

const redis = await startRedis()
afterAll(() => redis.close())
const cli = fileURLToPath(new URL('../../packages/server/src/cli/index.ts', import.meta.url))

async function startWorkers(count: number, grace = '0', more: readonly string[] = []) {
  const args = [
    'start',
    '--port',
    '0',
    '--model',
    'sim:count',
    '--engine',
    redis.url,
    '--workers',
    String(count),
    '--grace',
    grace,
    ...more,
  ]
  const child = spawn(process.execPath, ['--conditions=millrace-source', cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit')
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })
  let said = ''
  const heard: (() => void)[] = []
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      said += text
      for (const wake of heard.splice(0)) wake()
    })
  const until = async (pattern: RegExp) => {
    for (;;) {
      const match = pattern.exec(said)
      if (match !== null) return match
      await new Promise<void>((resolve) => heard.push(resolve))
    }
  }
  const [, url = ''] = await until(/with \d+ workers[\s\S]+API {4}(http:\S+)\/api[\s\S]+Logs/)
  return { child, exited, until, url }
}

function workersOf(pid: number | undefined): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** On a new connection, which any worker may accept. */
async function ask<T>(url: string, body?: object): Promise<T> {
  const headers = { 'content-type': 'application/json', accept: 'application/json', connection: 'close' }
  const answer = await fetch(url, { headers, ...(body && { method: 'POST', body: JSON.stringify(body) }) })
  expect(answer.ok).toBe(true)
  return (await answer.json()) as T
}

interface Transcript {
  readonly runs: { status: string; lanes: { text: string }[] }[]
}

it('serves the sums of all workers at one port for metrics, and none at the port of the workers', async () => {
  const { until, url } = await startWorkers(3, '0', ['--metrics-port', '0'])
  const [, metricsUrl = ''] = await until(/Watch {2}(http:\S+\/metrics)/)
  const started = await Promise.all(Array.from({ length: 9 }, () => ask<{ run: string }>(`${url}/api/chat`, { query: 'x' })))
  expect(started).toHaveLength(9)
  const scrape = async () => (await fetch(metricsUrl)).text()
  await expect.poll(scrape).toMatch(/^millrace_runs_started_total 9$/m)
  expect(await scrape()).toMatch(/^millrace_connections\{transport="sse",state="open"\} 0$/m)
  expect((await fetch(`${url}/metrics`)).status).toBe(404)
})

it('serves with all workers, and when one is killed ends its runs and replaces it', async () => {
  const { child, until, url } = await startWorkers(3)
  const workers = workersOf(child.pid)
  expect(workers).toHaveLength(3)
  const started = await Promise.all(
    Array.from({ length: 9 }, () =>
      ask<{ session: string }>(`${url}/api/chat`, { query: 'x', model: 'sim:count?n=100000&tps=50' }),
    ),
  )
  const statuses = () =>
    Promise.all(
      started.map(async ({ session }) => (await ask<Transcript>(`${url}/api/sessions/${session}`)).runs[0]?.status ?? ''),
    )
  expect(await statuses()).toEqual(started.map(() => 'streaming'))
  process.kill(workers[0] as number, 'SIGKILL')
  await until(/Worker \d exited \(SIGKILL\) and is replaced\./)
  await expect.poll(statuses, { timeout: 20_000, interval: 200 }).toContain('interrupted')
  expect(await statuses()).toContain('streaming')
  await expect.poll(() => workersOf(child.pid).length, { timeout: 10_000 }).toBe(3)
}, 60_000)

it('stops all workers on SIGTERM, and leaves none behind', async () => {
  const { child, exited, url } = await startWorkers(2, '0.2')
  const workers = workersOf(child.pid)
  const { session } = await ask<{ session: string }>(`${url}/api/chat`, { query: 'x', model: 'sim:count?n=100000&tps=50' })
  child.kill('SIGTERM')
  // As a service manager that signals the whole group.
  for (const pid of workers) process.kill(pid, 'SIGTERM')
  expect(await exited).toEqual([0, null])
  expect(workers.filter(isAlive)).toEqual([])
  const later = await startWorkers(2)
  const { runs } = await ask<Transcript>(`${later.url}/api/sessions/${session}`)
  expect(runs).toMatchObject([{ status: 'interrupted' }])
}, 60_000)

it('stops its workers when the primary process is killed', async () => {
  const { child, exited } = await startWorkers(2)
  const workers = workersOf(child.pid)
  child.kill('SIGKILL')
  await exited
  await expect.poll(() => workers.filter(isAlive), { timeout: 10_000 }).toEqual([])
}, 60_000)
