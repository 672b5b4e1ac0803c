/** Durable Streams at /ds: what every reader relies on. Their own suite has all of it. */
import assert from 'node:assert/strict'
import { call, newId, type Suite, type Target } from '../case.ts'
import { unlessMissing } from './support.ts'

const json = { 'content-type': 'application/json' }

const put = (target: Target, path: string) => call(target, path, { method: 'PUT', headers: json })

export const durableStreamsSuite: Suite = {
  name: 'Durable Streams',
  skip: unlessMissing('Durable Streams at /ds', (target) => put(target, `/ds/streams/${newId()}`)),
  cases: [
    {
      name: 'a stream is read from every offset, the offsets sort as text, and a closed stream says so',
      async run(target) {
        const path = `/ds/streams/${newId()}`
        const offsets = [nextOffset(await put(target, path))]
        for (const n of [1, 2, 3]) {
          const response = await call(target, path, { method: 'POST', headers: json, body: JSON.stringify([{ n }]) })
          offsets.push(nextOffset(response))
        }
        assert.deepEqual([...offsets].sort(), offsets)
        for (const [index, offset] of ['-1', ...offsets.slice(1)].entries()) {
          const response = await call(target, `${path}?offset=${offset}`)
          assert.deepEqual(
            await response.json(),
            [1, 2, 3].slice(index).map((n) => ({ n })),
          )
          assert.equal(response.headers.get('stream-up-to-date'), 'true')
        }
        const close = { ...json, 'stream-closed': 'true' }
        assert.equal((await call(target, path, { method: 'POST', headers: close })).status, 204)
        assert.equal((await call(target, path, { method: 'HEAD' })).headers.get('stream-closed'), 'true')
        await call(target, path, { method: 'DELETE' })
        assert.equal((await call(target, path)).status, 404)
      },
    },
  ],
}

function nextOffset({ headers }: Response): string {
  const offset = headers.get('stream-next-offset')
  assert.ok(offset, 'the response has Stream-Next-Offset')
  return offset
}
