/** What observers get of connections, runs and readers, over every transport. */
import type { Observer } from 'millrace'
import { expect, test } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'

function record() {
  const calls: [string, unknown[]][] = []
  const ofType = (name: string) => calls.filter(([called]) => called === name).map(([, args]) => args)
  const note =
    (name: string) =>
    (...args: unknown[]) =>
      void calls.push([name, args])
  const observer: Observer = {
    connectionOpened: ({ transport }) => note('opened')(transport),
    connectionClosed: ({ transport, logs }, end) => note('closed')(transport, logs, end),
    attached: note('attached'),
    sessionCreated: note('session'),
    runStarted: note('started'),
    firstToken: note('first'),
    runEnded: note('ended'),
    runLost: note('lost'),
    errorSent: note('error'),
  }
  return { observer, ofType }
}

test('a run is observed from its start over its first token to its end', async () => {
  const { observer, ofType } = record()
  const { url, millrace } = await startServer({ observers: [observer] })
  const { run, session } = await startRun(url, { query: 'q', models: ['sim:count?n=3&tps=0', 'sim:fail'] })
  await millrace.findRun(run)?.ended
  expect(ofType('session')).toMatchObject([[{ session }]])
  expect(ofType('started')).toMatchObject([[{ run, session, lanes: [{ model: 'sim:count?n=3&tps=0' }, { model: 'sim:fail' }] }]])
  expect(ofType('first')[0]).toMatchObject([{ run }, { model: 'sim:count?n=3&tps=0' }, expect.any(Number)])
  expect(ofType('ended')).toMatchObject([[{ run }, { status: 'completed', lanes: { 'sim:fail': { status: 'failed' } } }]])
})

test('a run that its observer stops at the start is stopped', async () => {
  const model = gatedModel()
  const observer: Observer = { runStarted: ({ run }) => millrace.findRun(run)?.stop() }
  const { url, millrace } = await startServer({ observers: [observer], models: [model], model: 'gated' })
  const { run } = await startRun(url, { query: 'q' })
  expect(await millrace.findRun(run)?.ended).toMatchObject({ status: 'stopped' })
})

// Both servers would report it otherwise: the one that recovered the run, and this one, which was taken for dead.
test('a run that another server has ended is lost here, and its end is observed there', async () => {
  const { observer, ofType } = record()
  const model = gatedModel()
  const { url, millrace } = await startServer({ observers: [observer], models: [model], model: 'gated' })
  const { run, session } = await startRun(url, { query: 'q' })
  const end = { type: 'stream_end', data: { run, status: 'interrupted' } }
  await millrace.engine.append(session, [end], { key: `end ${run}` })
  model.finish()
  expect(await millrace.findRun(run)?.ended).toMatchObject({ status: 'interrupted' })
  expect(ofType('ended')).toEqual([])
  expect(ofType('lost')).toMatchObject([[{ run, session }, { status: 'interrupted' }]])
})

test('a stream is observed until it has ended, with its events and bytes', async () => {
  const { observer, ofType } = record()
  const { url } = await startServer({ observers: [observer] })
  const text = await (await postJson(`${url}/api/chat`, { query: 'q' })).text()
  await expect.poll(() => ofType('closed')).toHaveLength(1)
  const [[transport, [session], end]] = ofType('closed') as [[string, [string], object]]
  expect(session).toMatch(/^[\w-]{22}$/)
  expect({ transport, end }).toEqual({
    transport: 'sse',
    end: { code: 'ended', durationMs: expect.any(Number), events: 7, bytes: Buffer.byteLength(text) },
  })
  expect(ofType('opened')).toEqual([['sse']])
})

test('a socket that its client closes has left, with the log that it read last', async () => {
  const { observer, ofType } = record()
  const { url, millrace } = await startServer({ observers: [observer] })
  const { run, session } = await startRun(url, { query: 'q' })
  await millrace.findRun(run)?.ended
  const socket = await openSocket(url)
  socket.send({ type: 'attach', session })
  await socket.until(({ type }) => type === 'attached')
  socket.client.close()
  await expect.poll(() => ofType('closed')).toHaveLength(1)
  expect(ofType('closed')).toMatchObject([['ws', [session], { code: 'left' }]])
})

test('a resume is exact, or an error with its code', async () => {
  const { observer, ofType } = record()
  const { url } = await startServer({ observers: [observer] })
  const { session, position } = await startRun(url, { query: 'q' })
  await fetch(`${url}/api/stream?session=${session}&from=${position}&live=poll`)
  await fetch(`${url}/api/stream?session=${session}&from=${position.replace(/^\w/, 'z')}&live=poll`)
  await fetch(`${url}/api/stream?session=${session}&live=poll`)
  expect(ofType('attached').flat()).toMatchObject([
    { kind: 'session', isResume: true, result: 'exact' },
    { kind: 'session', isResume: true, result: 'error', code: 'position_foreign' },
    { kind: 'session', isResume: false, result: 'exact' },
  ])
  expect(ofType('error')).toEqual([['position_foreign']])
  await expect
    .poll(() => ofType('closed').map(([, , end]) => (end as { code: string }).code))
    .toEqual(['ended', 'failed', 'ended'])
})
