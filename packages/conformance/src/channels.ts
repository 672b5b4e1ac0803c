/** PROTOCOL.md#channels. */
import assert from 'node:assert/strict'
import { newId, post, type Suite } from './case.ts'
import { readers, readUntil } from './readers.ts'

const isLast = ({ data }: { readonly data: unknown }) => (data as { n: number }).n === 3

export const channelSuite: Suite = {
  name: 'channels',
  cases: readers.map(({ name, read }) => ({
    name: `give every reader what was published, once and in order, over ${name}`,
    async run(target) {
      const channel = `conformance-${newId()}`
      for (const n of [1, 2, 3]) {
        const published = { channel, event: 'number', data: { n }, id: `${n}` }
        await post(target, '/api/publish', published)
        // The same id again publishes nothing.
        const again = (await (await post(target, '/api/publish', published)).json()) as { duplicate: boolean }
        assert.equal(again.duplicate, true)
      }
      const events = await readUntil(read(target, { channel }, 'start'), isLast)
      assert.deepEqual(
        events.map(({ event, data }) => [event, data]),
        [1, 2, 3].map((n) => ['number', { n }]),
      )
      const rest = await readUntil(read(target, { channel }, events[0]?.id ?? ''), isLast)
      assert.deepEqual(rest, events.slice(1))
    },
  })),
}
