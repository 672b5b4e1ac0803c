/** What asking needs beside permission to ask: the host is asked for it, and a model must be offered, whichever way one asks. */
import { MillraceError } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { rejection } from './support/given.ts'
import { postJson, startRun, startServer } from './support/server.ts'

/** A run in progress and a question that waits. Then the host denies one action. */
async function start(denied?: string) {
  let isDenying = false
  const { url } = await startServer({
    models: [gatedModel()],
    model: 'gated',
    modelsByName: [],
    authorize(_caller, action) {
      if (isDenying && action === denied) throw new MillraceError('forbidden')
    },
  })
  await postJson(`${url}/api/sessions`, { id: 's' })
  await startRun(url, { query: 'first', id: 'first', session: 's' })
  expect((await postJson(`${url}/api/sessions/s/queue`, { query: 'second', id: 'two' })).status).toBe(201)
  isDenying = true
  return (method: string, path: string, body: object) => {
    const headers = { 'content-type': 'application/json', accept: 'application/json' }
    return fetch(url + path, { method, headers, body: JSON.stringify(body) })
  }
}

const instructed = { query: 'x', instructions: 'y' }
const steering = { query: 'x', steer: true }

it.each([
  ['session.instruct', 'POST', '/api/chat', { ...instructed, session: 's' }],
  ['session.instruct', 'POST', '/api/runs/first/regenerate', { ...instructed, session: 's' }],
  ['session.instruct', 'POST', '/api/sessions/s/queue', instructed],
  ['session.instruct', 'PATCH', '/api/sessions/s/queue/two', instructed],
  ['run.start', 'POST', '/api/sessions/s/queue/two/move', { before: null }],
  ['run.stop', 'POST', '/api/sessions/s/queue', steering],
  ['run.stop', 'PATCH', '/api/sessions/s/queue/two', steering],
])('the host is asked for %s: %s %s', async (denied, method, path, body) => {
  const send = await start(denied)
  expect(await rejection(send(method, path, body))).toEqual([403, 'forbidden'])
})

it.each([
  ['POST', '/api/chat', { query: 'x', session: 's' }],
  ['POST', '/api/runs/first/regenerate', { query: 'x', session: 's' }],
  ['POST', '/api/runs/first/continue', { session: 's' }],
  ['POST', '/api/sessions/s/queue', { query: 'x' }],
  ['PATCH', '/api/sessions/s/queue/two', { query: 'x' }],
])('a model that is not offered is rejected: %s %s', async (method, path, body) => {
  const send = await start()
  expect(await rejection(send(method, path, { ...body, model: 'sim:count' }))).toEqual([404, 'model_not_found'])
})
