/** The lines of a server: one for each connection and each run. */
import { createMillrace, type MillraceOptions, type Model } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { postJson, startRun } from './support/server.ts'

async function startLogged(log: MillraceOptions['log'] = {}, options: MillraceOptions = {}) {
  const texts: string[] = []
  const millrace = createMillrace({
    model: 'sim:count?n=5&tps=0',
    ...options,
    log: { level: 'info', format: 'json', write: (line) => texts.push(line), ...log },
  })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  return { url, texts, lines: () => texts.map((text) => JSON.parse(text) as Record<string, unknown>) }
}

it('a run and its connection are one line each, with ids and numbers', async () => {
  const { url, lines } = await startLogged()
  const text = await (await postJson(`${url}/api/chat`, { query: 'q', id: 'logged' })).text()
  await expect.poll(lines).toHaveLength(2)
  const session = expect.stringMatching(/^[\w-]{22}$/)
  expect(lines().sort((a, b) => String(b['msg']).localeCompare(String(a['msg'])))).toEqual([
    {
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      level: 'info',
      msg: 'run ended',
      run: 'logged',
      session,
      principal: 'anonymous',
      models: ['sim:count?n=5&tps=0'],
      status: 'completed',
      inputTokens: 1,
      outputTokens: 5,
      firstTokenMs: expect.any(Number),
      durationMs: expect.any(Number),
    },
    {
      time: expect.any(String),
      level: 'info',
      msg: 'connection closed',
      connection: session,
      transport: 'sse',
      principal: 'anonymous',
      address: '127.0.0.1',
      logs: [session],
      code: 'ended',
      durationMs: expect.any(Number),
      events: 7,
      bytes: Buffer.byteLength(text),
    },
  ])
})

it('a run that failed is a warning with its code, and its error a line with the run', async () => {
  const broken: Model = {
    name: 'broken',
    stream() {
      throw new Error('out of paper')
    },
  }
  const { url, lines } = await startLogged({}, { models: [broken], model: 'broken' })
  await startRun(url, { query: 'q', id: 'r' })
  await expect.poll(lines).toHaveLength(2)
  expect(lines()).toMatchObject([
    { level: 'error', msg: 'Error: out of paper', run: 'r', lane: 'broken', stack: expect.stringContaining('at ') },
    { level: 'warn', msg: 'run ended', run: 'r', status: 'failed', code: 'model_failed' },
  ])
})

it('fields are left out where the operator wants it, and lines below the level', async () => {
  const { url, lines } = await startLogged({ redact: ['address', 'principal'] })
  await (await postJson(`${url}/api/chat`, { query: 'q' })).text()
  await expect.poll(lines).toHaveLength(2)
  for (const line of lines()) expect(Object.keys(line)).not.toEqual(expect.arrayContaining(['address']))
  for (const line of lines()) expect(Object.keys(line)).not.toEqual(expect.arrayContaining(['principal']))
  const quiet = await startLogged({ level: 'warn' })
  await (await postJson(`${quiet.url}/api/chat`, { query: 'q' })).text()
  expect(quiet.texts).toEqual([])
})

it('lines are text for people where the format is pretty', async () => {
  const { url, texts } = await startLogged({ format: 'pretty' })
  await (await postJson(`${url}/api/chat`, { query: 'q', id: 'r' })).text()
  await expect.poll(() => texts).toHaveLength(2)
  const line = texts.find((text) => text.includes('run ended'))
  expect(line).toMatch(/^\d\d:\d\d:\d\d\.\d{3} INFO {2}run ended run=r session=[\w-]{22} .*status=completed .*durationMs=\d+\n$/)
})

it('a server in an application writes no lines unless it is asked to', async () => {
  const { url, texts } = await startLogged({ level: 'silent' })
  await (await postJson(`${url}/api/chat`, { query: 'q' })).text()
  expect(texts).toEqual([])
})
