import { type Engine, memoryEngine, type NewEvent } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { Recovery } from '../runs/recovery.ts'
import { createTranscripts } from './transcripts.ts'

const lanes = [{ lane: 'm', model: 'm' }]
const started = (run: string): NewEvent => ({ type: 'stream_start', data: { run, session: 's', query: `q ${run}`, lanes } })
const said = (run: string, text: string): NewEvent => ({ type: 'message', data: { run, lane: 'm', text } })
const ended = (run: string): NewEvent => ({ type: 'stream_end', data: { run, status: 'completed' } })

function open(inner: Engine, bytesMax?: number) {
  onTestFinished(() => inner.close())
  const read: number[] = []
  const engine: Engine = {
    ...inner,
    async read(...request) {
      const page = await inner.read(...request)
      read.push(page.events.length)
      return page
    },
  }
  return { engine, read, transcripts: createTranscripts({ engine, openLog: engine.inspect, bytesMax }) }
}

// What happened: each question read and folded its whole session, with the bytes of its files.
it('reads only newer events, and returns what a fold of the whole log returns', async () => {
  const { engine, read, transcripts } = open(memoryEngine())
  for (let n = 0; n < 50; n++) {
    await engine.append('s', [started(`r${n}`), said(`r${n}`, 'a'), { type: 'file_data', data: new Uint8Array(1000) }])
    await transcripts.read('s')
    await engine.append('s', [said(`r${n}`, 'b'), ended(`r${n}`)])
    read.length = 0
    const transcript = await transcripts.read('s')
    expect(read).toEqual([2])
    expect(transcript).toEqual(await createTranscripts({ engine, openLog: engine.inspect }).read('s'))
    expect(transcript?.runs.at(-1)).toMatchObject({ query: `q r${n}`, status: 'completed', lanes: [{ text: 'ab' }] })
  }
})

it('includes all events before a call, for concurrent calls in two reads', async () => {
  const { engine, read, transcripts } = open(memoryEngine())
  await engine.append('s', [started('a')])
  const first = transcripts.read('s')
  const others = Array.from({ length: 20 }, () => transcripts.read('s'))
  const all = await Promise.all([first, ...others])
  for (const transcript of all) expect(transcript?.runs).toHaveLength(1)
  // Each ends at the head as it is now.
  expect(read).toEqual([1, 0, 0])
})

it('reads a log once with recovery, for the reader that comes first', async () => {
  const { engine, read } = open({ ...memoryEngine(), isDurable: true })
  const { signal } = new AbortController()
  const onError = () => expect.unreachable()
  const dead = [started('dead'), said('dead', 'x')]
  await engine.append('s', [
    ...Array.from({ length: 1000 }, (_, n) => [started(`r${n}`), said(`r${n}`, 'x'), ended(`r${n}`)]).flat(),
    ...dead,
  ])
  for (const how of ['read', 'open'] as const) {
    const recovery = new Recovery({ engine, isOurs: () => false, readRecorded: async () => undefined, signal, onError })
    const transcripts = createTranscripts({ engine, openLog: recovery.open, onPage: (...page) => recovery.note(...page) })
    read.length = 0
    await transcripts[how]('s')
    // With the end of the dead run, which the first of the two appends.
    expect(read.reduce((sum, events) => sum + events, 0)).toBe(3003)
    const transcript = await transcripts.read('s')
    expect(transcript).toEqual(await createTranscripts({ engine, openLog: engine.inspect }).read('s'))
    expect(transcript?.runs.at(-1)).toMatchObject({ run: 'dead', status: 'interrupted' })
  }
})

it('does not change what it has returned', async () => {
  const { engine, transcripts } = open(memoryEngine())
  await engine.append('s', [started('a'), said('a', 'x')])
  const before = await transcripts.read('s')
  const copy = structuredClone(before)
  await engine.append('s', [said('a', 'y'), { type: 'data', data: { run: 'a', lane: 'm', name: 'n', value: 1 } }, ended('a')])
  await transcripts.read('s')
  expect(before).toEqual(copy)
})

it('drops runs that retention has deleted', async () => {
  const { engine, transcripts } = open(memoryEngine({ bytesMax: 3000 }))
  for (let n = 0; n < 100; n++) {
    await engine.append('s', [started(`r${n}`), said(`r${n}`, 'x'), ended(`r${n}`)])
    const transcript = await transcripts.read('s')
    const fresh = await createTranscripts({ engine, openLog: engine.inspect }).read('s')
    expect(transcript).toEqual(fresh)
  }
  expect(await transcripts.read('s')).toMatchObject({ complete: false })
})

it('reads a re-created log from its start, and one that it has forgotten', async () => {
  const { engine, read, transcripts } = open(memoryEngine())
  await engine.append('s', [started('a'), ended('a')])
  await transcripts.read('s')
  await engine.delete('s')
  expect(await transcripts.read('s')).toBeUndefined()
  await engine.append('s', [started('b'), ended('b')])
  expect((await transcripts.read('s'))?.runs).toMatchObject([{ run: 'b' }])
  transcripts.forget('s')
  read.length = 0
  await transcripts.read('s')
  expect(read).toEqual([2, 0])
})

it('keeps the logs that were read last, in bounded bytes', async () => {
  const { engine, read, transcripts } = open(memoryEngine(), 50_000)
  const names = Array.from({ length: 10 }, (_, n) => `s${n}`)
  for (const name of names) await engine.append(name, [started('a'), said('a', 'x'.repeat(5000)), ended('a')])
  for (const name of names) await transcripts.read(name)
  read.length = 0
  for (const name of [...names].reverse()) await transcripts.read(name)
  // 13 kB each: the last three were still kept, then each evicted another.
  expect(read.filter((events) => events > 0)).toEqual([3, 3, 3, 3, 3, 3, 3])
})

it('keeps what it has read when the engine fails, and reads on from there', async () => {
  const inner = memoryEngine()
  let fails = false
  const { engine, read, transcripts } = open({
    ...inner,
    read: (...request) => (fails ? Promise.reject(new Error('away')) : inner.read(...request)),
  })
  await engine.append('s', [started('a'), said('a', 'x')])
  await transcripts.read('s')
  await engine.append('s', [said('a', 'y')])
  fails = true
  await expect(transcripts.read('s')).rejects.toThrow('away')
  fails = false
  read.length = 0
  expect((await transcripts.read('s'))?.runs[0]?.lanes[0]?.text).toBe('xy')
  expect(read).toEqual([1])
})
