/** The order of questions that wait: PROTOCOL.md#the-queue. */
import { describe, expect, it } from 'vitest'
import { rejection } from './support/given.ts'
import { add, meeting, move, queueOf, send, startBusy } from './support/queue.ts'
import { openSocket } from './support/socket.ts'
import { openStream } from './support/stream.ts'

describe('a question that waits', () => {
  it('is moved before another one or to the end, over HTTP and WebSocket, and asked in that order', async () => {
    const { url, millrace, model } = await startBusy()
    for (const id of ['a', 'b', 'c', 'd']) await add(url, { query: id, id })
    const moved = await move(url, 'd', { before: 'b' })
    expect([moved.status, await moved.json()]).toEqual([200, { session: 's', entry: 'd', position: expect.any(String) }])
    expect(await queueOf(millrace)).toEqual(['a', 'd', 'b', 'c'])
    const socket = await openSocket(url)
    socket.send({ type: 'queue_move', session: 's', entry: 'a', before: null, ref: '1' })
    expect(await socket.next()).toMatchObject({ type: 'queued', session: 's', entry: 'a', ref: '1' })
    expect(await queueOf(millrace)).toEqual(['d', 'b', 'c', 'a'])
    // A change keeps the place.
    await send('PATCH', `${url}/api/sessions/s/queue/b`, { query: 'better' })
    expect(await queueOf(millrace)).toEqual(['d', 'better', 'c', 'a'])
    for (const run of ['d', 'b', 'c', 'a']) {
      model.finish()
      await expect.poll(() => millrace.findRun(run)).toBeDefined()
    }
    expect(model.requests.map(({ messages }) => messages.at(-1)?.text)).toEqual(['first', 'd', 'better', 'c', 'a'])
    model.finish()
  })

  it('is where the last move put it, and a move that is repeated does not undo another', async () => {
    const { url, millrace } = await startBusy()
    for (const id of ['a', 'b', 'c']) await add(url, { query: id, id })
    const first = await (await move(url, 'c', { before: 'a', id: 'one' })).json()
    await move(url, 'c', { before: null, id: 'two' })
    expect(await (await move(url, 'c', { before: 'a', id: 'one' })).json()).toEqual(first)
    expect(await queueOf(millrace)).toEqual(['a', 'b', 'c'])
    // Of two devices at once: each move counts, whichever comes first.
    await Promise.all([move(url, 'b', { before: 'a' }), move(url, 'c', { before: 'a' })])
    const both = await queueOf(millrace)
    expect(both?.at(-1)).toBe('a')
    expect(both).toHaveLength(3)
    await add(url, { query: 'd' })
    const stream = await openStream(`${url}/api/stream?session=s`)
    for (let added = 0; added < 4; added++) await stream.until('queue_added')
    expect(stream.events.filter(({ event }) => event === 'queue_moved')).toHaveLength(4)
  })

  it('cannot be moved once it was started or removed, nor before such a one', async () => {
    const { url, millrace } = await startBusy()
    for (const id of ['a', 'b', 'c']) await add(url, { query: id, id })
    await send('DELETE', `${url}/api/sessions/s/queue/b`)
    for (const [entry, before] of [
      ['b', 'a'],
      ['first', null],
      ['c', 'b'],
      ['c', 'first'],
    ] as const)
      expect(await rejection(move(url, entry, { before }))).toEqual([404, 'queue_entry_not_found'])
    expect((await move(url, 'c', { before: 'c' })).status).toBe(200)
    for (const before of [undefined, 1, '']) expect(await rejection(move(url, 'c', { before }))).toEqual([400, 'invalid_id'])
    expect(await queueOf(millrace)).toEqual(['a', 'c'])
  })
})

describe('the start of a question', () => {
  it('that comes before its move: the move is rejected, and moves nothing', async () => {
    const engine = meeting('queue_moved', async () => {
      model.finish()
      await expect.poll(() => model.requests.length).toBe(2)
    })
    const { url, millrace, model } = await startBusy({ engine })
    for (const id of ['two', 'three', 'four']) await add(url, { query: id, id })
    expect(await rejection(move(url, 'two', { before: null }))).toEqual([404, 'queue_entry_not_found'])
    expect(await queueOf(millrace)).toEqual(['three', 'four'])
    model.finish()
  })

  it('that comes before a move of another before it: the order stays', async () => {
    const engine = meeting('queue_moved', async () => {
      model.finish()
      await expect.poll(() => model.requests.length).toBe(2)
    })
    const { url, millrace, model } = await startBusy({ engine })
    for (const id of ['two', 'three', 'four']) await add(url, { query: id, id })
    expect((await move(url, 'four', { before: 'two' })).status).toBe(200)
    expect(await queueOf(millrace)).toEqual(['three', 'four'])
    model.finish()
  })
})
