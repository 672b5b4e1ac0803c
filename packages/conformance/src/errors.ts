/** PROTOCOL.md#errors: every rejection has a status, a code, a sentence and a link. */
import assert from 'node:assert/strict'
import { errors, limits } from '@millrace/protocol'
import { call, newId, post, type Suite, type Target } from './case.ts'

type Rejected = readonly [what: string, code: keyof typeof errors, send: (target: Target) => Promise<Response>]

const json = { 'content-type': 'application/json' }

const rejected: readonly Rejected[] = [
  ['a body that is no JSON', 'invalid_json', (t) => call(t, '/api/chat', { method: 'POST', headers: json, body: '{' })],
  ['a body of another type', 'unsupported_media_type', (t) => call(t, '/api/chat', { method: 'POST', body: 'query=1' })],
  ['no question', 'query_missing', (t) => post(t, '/api/chat', {})],
  [
    'a question that is too long',
    'query_too_long',
    (t) => post(t, '/api/chat', { query: 'x'.repeat(limits.queryLengthMax + 1) }),
  ],
  ['a body that is too large', 'body_too_large', (t) => post(t, '/api/chat', { query: 'x'.repeat(limits.bodyBytesMax) })],
  ['a model that there is not', 'model_not_found', (t) => post(t, '/api/chat', { query: 'x', model: `none:${newId()}` })],
  ['a session that there is not', 'session_not_found', (t) => post(t, '/api/chat', { query: 'x', session: newId() })],
  ['an id that is none', 'invalid_id', (t) => post(t, '/api/chat', { query: 'x', session: 'a b' })],
  ['a run that there is not', 'run_not_found', (t) => post(t, `/api/runs/${newId()}/stop`, {})],
  ['a channel that is none', 'invalid_channel', (t) => post(t, '/api/publish', { channel: '', data: 1 })],
  ['an address that there is not', 'not_found', (t) => call(t, '/api/nothing')],
  ['a method that an address does not have', 'method_not_allowed', (t) => call(t, '/api/chat', { method: 'PUT' })],
]

export const errorSuite: Suite = {
  name: 'errors',
  cases: rejected.map(([what, code, send]) => ({
    name: `${what}: ${code}`,
    async run(target) {
      const response = await send(target)
      const { error } = (await response.json()) as { error: { code: string; message: string; docs: string; retryable: boolean } }
      assert.deepEqual([response.status, error.code], [errors[code].status, code])
      assert.ok(error.message.length > 10 && error.docs.length > 0, 'an error has a sentence and a link')
      assert.equal(error.retryable, errors[code].retryable)
    },
  })),
}
