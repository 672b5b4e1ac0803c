/** PROTOCOL.md: questions, positions, resuming, leaving, stopping. */
import assert from 'node:assert/strict'
import { parsePosition } from '@millrace/protocol'
import { call, newId, post, type Suite, type Target } from './case.ts'
import { readers, readUntil } from './readers.ts'
import { readSse, type SseFrame, streamSse } from './sse.ts'

const isEnd = ({ event }: { readonly event: string | undefined }) => event === 'stream_end'

const question = ({ model }: Target, more: object = {}) => ({ query: 'Count.', ...(model && { model }), ...more })

async function ask(target: Target, more: object = {}) {
  const frames = await readSse(await post(target, '/api/chat', question(target, more)))
  return { ...startOf(frames[0]), frames }
}

function startOf(frame: SseFrame | undefined): { readonly session: string; readonly run: string } {
  assert.equal(frame?.event, 'stream_start', 'the first event is stream_start')
  return JSON.parse(frame.data) as { session: string; run: string }
}

/** Deltas may be merged for readers that are behind: PROTOCOL.md#resuming. */
function joined(frames: readonly { readonly event: string | undefined; readonly data: unknown }[]): unknown[] {
  const all: unknown[] = ['']
  for (const { event, data } of frames) {
    const value: unknown = typeof data === 'string' ? JSON.parse(data) : data
    if (event === 'message') all.push(`${String(all.pop())}${(value as { text: string }).text}`)
    else all.push(event, value, '')
  }
  return all
}

const answers: Suite = {
  name: 'answers',
  cases: [
    {
      name: 'begin with stream_start, end with stream_end, and their positions rise',
      async run(target) {
        const { frames } = await ask(target)
        assert.ok(isEnd(frames.at(-1) ?? { event: undefined }), 'the last event is stream_end')
        assert.ok(frames.filter(({ event }) => event === 'message').length > 1, 'the answer has several tokens')
        const offsets = frames.map(({ id }) => parsePosition(id ?? '')?.offset)
        for (const [index, offset] of offsets.entries()) {
          assert.ok(offset !== undefined, 'each event has a position as its id')
          assert.ok(index === 0 || offset > (offsets[index - 1] ?? 0), 'each position is later than the one before')
        }
      },
    },
    {
      name: 'go on after any of their events with exactly the rest, and with 204 after the last',
      async run(target) {
        const { frames } = await ask(target)
        for (const [index, { id = '' }] of frames.entries()) {
          const response = await post(target, '/api/chat', question(target), { 'last-event-id': id })
          if (index === frames.length - 1) assert.equal(response.status, 204)
          else assert.deepEqual(joined(await readSse(response)), joined(frames.slice(index + 1)))
        }
      },
    },
    {
      name: 'go on when their reader leaves, for everybody else',
      async run(target) {
        const leaving = new AbortController()
        const body = JSON.stringify(question(target))
        const headers = { 'content-type': 'application/json' }
        const { signal } = leaving
        const response = await call(target, '/api/chat', { method: 'POST', headers, body, signal })
        const first = await streamSse(response).next()
        leaving.abort()
        const { session } = startOf(first.value as SseFrame)
        for (const { read } of readers) await readUntil(read(target, { session }, 'start'), isEnd)
      },
    },
    {
      name: 'are started once, however often their id is sent',
      async run(target) {
        const { session } = await ask(target)
        const id = newId()
        const all = await Promise.all([1, 2, 3].map(() => ask(target, { id, session })))
        assert.deepEqual(
          all.map(({ run }) => run),
          [id, id, id],
        )
        for (const { frames } of all) assert.deepEqual(joined(frames), joined(all[0]?.frames ?? []))
      },
    },
    {
      name: 'are stopped for everybody, and keep what was said',
      async run(target) {
        const response = await post(target, '/api/chat', question(target, { query: 'Count to a thousand.' }))
        const frames: SseFrame[] = []
        let stopped: Promise<Response> | undefined
        for await (const frame of streamSse(response)) {
          frames.push(frame)
          if (frame.event === 'message') stopped ??= post(target, `/api/runs/${startOf(frames[0]).run}/stop`, {})
        }
        await stopped
        const { status } = JSON.parse(frames.at(-1)?.data ?? '{}') as { status: string }
        assert.ok(['stopped', 'completed'].includes(status), `the run ends as ${status}`)
        const { session } = startOf(frames[0])
        const kept = (await (await call(target, `/api/sessions/${session}`)).json()) as { runs: { status: string }[] }
        assert.equal(kept.runs[0]?.status, status)
      },
    },
  ],
}

const transports: readonly Suite[] = readers.map(({ name, read }) => ({
  name: `reading over ${name}`,
  cases: [
    {
      name: 'gives every event once, in order, and after any of them exactly the rest',
      async run(target) {
        const { session } = await ask(target)
        const from = (position: string) => readUntil(read(target, { session }, position), isEnd)
        const all = await from('start')
        for (const [index, { id }] of all.slice(0, -1).entries())
          assert.deepEqual(joined(await from(id)), joined(all.slice(index + 1)))
      },
    },
    {
      name: 'gives a reader that comes before the answer the same as one that comes after it',
      async run(target) {
        const { session } = await ask(target)
        const attached = Promise.withResolvers<void>()
        const live = readUntil(read(target, { session }, 'now', attached.resolve), isEnd)
        // A reader that cannot attach rejects instead.
        await Promise.race([attached.promise, live])
        const { frames } = await ask(target, { session })
        assert.deepEqual(
          textOf(await live),
          textOf(frames.map((frame) => ({ ...frame, data: JSON.parse(frame.data) as unknown }))),
        )
      },
    },
    {
      name: 'rejects a position that it cannot serve, with its code',
      async run(target) {
        const { session } = await ask(target)
        const all = await readUntil(read(target, { session }, 'start'), isEnd)
        const [epoch] = (all.at(-1)?.id ?? '').split('-')
        for (const [from, code] of [
          ['nonsense', 'position_invalid'],
          ['00000000-1', 'position_foreign'],
          [`${epoch}-999999`, 'position_ahead'],
        ] as const)
          await assert.rejects(read(target, { session }, from).next(), { message: code })
        await assert.rejects(read(target, { session: newId() }, 'start').next(), { message: 'session_not_found' })
      },
    },
  ],
}))

function textOf(events: readonly { readonly event: string | undefined; readonly data: unknown }[]): string {
  return events.map(({ event, data }) => (event === 'message' ? (data as { text: string }).text : '')).join('')
}

export const answerSuites: readonly Suite[] = [answers, ...transports]
