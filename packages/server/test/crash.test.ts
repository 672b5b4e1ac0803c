/** A server that is killed during an answer: its text is kept, and readers learn that the run was interrupted. */
import { type Observer, sqliteEngine } from 'millrace'
import { expect, it } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { makeFolder, startProcess } from './support/process.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { data, openStream, textOf } from './support/stream.ts'

it('ends the runs of a killed server as interrupted with all their text, and accepts new questions in the session', async () => {
  const folder = makeFolder()
  const killed = await startProcess(folder)
  const { session, run } = await startRun(killed.url, {
    query: 'count',
    metadata: { order: '7' },
    models: ['sim:count?n=100000&tps=200', 'sim:count?n=5&tps=0'],
  })
  const stream = await openStream(`${killed.url}/api/stream?session=${session}`)
  while (textOf(stream.events).length < 100) await stream.next()
  const seen = stream.events
  await killed.kill()

  const model = gatedModel()
  const observed: unknown[] = []
  const observers: Observer[] = [{ runEnded: (...args) => observed.push(args) }]
  const { url, millrace, errors } = await startServer({
    engine: sqliteEngine({ folder }),
    models: [model],
    model: 'gated',
    observers,
  })
  const back = await openStream(`${url}/api/stream?session=${session}&from=${seen.at(-1)?.id}`)
  const rest = await back.until('stream_end')
  const end = data(rest.at(-1) as never)
  expect(end).toMatchObject({ run, status: 'interrupted', usage: { estimated: true } })
  // Its own server cannot count it any more, nor send its webhook.
  expect(observed).toMatchObject([[{ run, session, metadata: { order: '7' }, lanes: [{}, {}] }, { status: 'interrupted' }]])
  expect(rest.filter(({ event }) => event === 'lane_end').map((event) => data(event))).toEqual([
    expect.objectContaining({ lane: 'sim:count?n=100000&tps=200', status: 'interrupted' }),
  ])
  // Everything once: the parts before and after the restart are one answer without a hole.
  const lane = ({ data: text }: { data: string }) => (JSON.parse(text) as { lane?: string }).lane === 'sim:count?n=100000&tps=200'
  const said = textOf([...seen, ...rest].filter(lane))
  const numbers = said.trim().split(' ').map(Number)
  expect(numbers).toEqual(numbers.map((_, index) => index + 1))
  const transcript = await millrace.readSession(session)
  expect(transcript?.runs[0]).toMatchObject({
    status: 'interrupted',
    lanes: [{ status: 'interrupted', text: said }, { status: 'completed' }],
  })

  await startRun(url, { query: 'and now?', session })
  model.say('here again')
  model.finish()
  await back.until('stream_end')
  expect(model.requests[0]?.messages.map(({ text }) => text)).toEqual(['count', said, 'and now?'])
  expect((await millrace.readSession(session))?.runs.map(({ status }) => status)).toEqual(['interrupted', 'completed'])
  expect(errors).toEqual([])
})

it('does not end runs of its own process when their session is read', async () => {
  const folder = makeFolder()
  const model = gatedModel()
  const { url, millrace } = await startServer({ engine: sqliteEngine({ folder }), models: [model], model: 'gated' })
  const { session } = await startRun(url, { query: 'x' })
  for (let n = 0; n < 5; n++) expect((await millrace.readSession(session))?.runs[0]?.status).toBe('streaming')
  model.say('whole')
  model.finish()
  expect(textOf(await (await openStream(`${url}/api/stream?session=${session}`)).until('stream_end'))).toBe('whole')
})

it('finds a run of the killed server by its id', async () => {
  const folder = makeFolder()
  const first = await startServer({ engine: sqliteEngine({ folder }) })
  await first.millrace.engine.append('s', [])
  const request = { query: 'count', session: 's', id: 'r' }
  const started = await startRun(first.url, request)
  await first.millrace.findRun('r')?.ended
  await first.millrace.close()
  const { url, millrace } = await startServer({ engine: sqliteEngine({ folder }) })
  expect(await startRun(url, request)).toEqual(started)
  expect((await postJson(`${url}/api/chat`, { ...request, query: 'another' })).status).toBe(409)
  expect((await millrace.readSession('s'))?.runs).toHaveLength(1)
})
