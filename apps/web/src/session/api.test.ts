import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { readSession } from './api.ts'

let answer: { status: number; body: string } = { status: 200, body: '' }
const server = createServer((_, response) => response.writeHead(answer.status).end(answer.body))

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  vi.stubGlobal('document', { baseURI: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` })
})
afterAll(() => void server.close())

const refusal = (code: string) => JSON.stringify({ error: { code, message: 'no' } })

test.each([
  ['the server does not know it', 404, refusal('session_not_found'), 'missing'],
  ['no session can have this id', 400, refusal('invalid_id'), 'missing'],
  ['it is damaged', 500, refusal('log_damaged'), 'damaged'],
  ['a gateway has nowhere to send the request', 404, '<h1>404 page not found</h1>', 'unreachable'],
  ['the address is not there on the version that answers', 404, refusal('not_found'), 'unreachable'],
  ['somebody has to sign in', 401, '{}', 'unreachable'],
  ['it is forbidden for now', 403, refusal('forbidden'), 'unreachable'],
  ['the server is stopping', 503, refusal('server_stopping'), 'unreachable'],
])('where %s, a session is read as such', async (_, status, body, kind) => {
  answer = { status, body }
  expect(await readSession('s')).toEqual({ kind })
})
