import type { LaneEnd, LanePart, SessionEvent, SessionEvents } from '@millrace/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Transcript } from '../session.ts'
import { type ChatTranscript, foldTranscript, interruptTranscript, joinTranscript } from './fold.ts'

const empty: Transcript = { id: 's', position: 'k3f9a2xq-0', complete: true, runs: [] }
const now = 1_764_000_000_000
const fold = (transcript: ChatTranscript, events: readonly SessionEvent[], offset = 0) =>
  events.reduce((last, event, index) => foldTranscript(last, { ...event, id: `k3f9a2xq-${offset + index + 1}` }, now), transcript)

const end = (status: LaneEnd['status'], outputTokens = 3) => ({
  status,
  finishReason: 'stop' as const,
  usage: { inputTokens: 1, outputTokens, totalTokens: 1 + outputTokens, cachedInputTokens: 1 },
  timings: { firstTokenMs: 20, durationMs: 400 },
})
const start = (run: string, ...lanes: string[]): SessionEvent => ({
  type: 'stream_start',
  data: { run, session: 's', query: `${run}?`, lanes: lanes.map((lane) => ({ lane, model: `${lane}-model` })) },
})
const goOn = (continues: string, run: string, ...lanes: string[]): SessionEvent =>
  ({ type: 'stream_start', data: { ...(start(run, ...lanes).data as object), continues } }) as SessionEvent
const finish = (run: string, status: LaneEnd['status'], outputTokens = 3): SessionEvent => ({
  type: 'stream_end',
  data: { run, ...end(status, outputTokens) },
})
const say = (run: string, lane: string, text: string): SessionEvent => ({ type: 'message', data: { run, lane, text } })

/** What a transcript is, said by looking things up in the whole log instead of going through it. */
function lookUp(events: readonly SessionEvent[]): Transcript['runs'] {
  const starts = dataOf(events, 'stream_start')
  return starts.map(({ run, query, lanes, continues }, index) => {
    const parent = starts.slice(0, index).findLast((start) => start.continues === undefined)?.run ?? null
    const ofRun = events.filter(({ data }) => (data as { run?: string }).run === run)
    const { lanes: laneEnds, ...runEnd } = dataOf(ofRun, 'stream_end')[0] ?? { run, status: 'streaming' as const }
    return {
      ...runEnd,
      query,
      ...(continues ? { continues } : { parent }),
      startedAt: now,
      lanes: lanes.map(({ lane, model }) => {
        const ofLane = ofRun.filter(({ data }) => (data as { lane?: string }).lane === lane)
        const { run: _, ...laneEnd } = { ...runEnd, ...dataOf(ofLane, 'lane_end')[0], ...laneEnds?.[lane] }
        return {
          ...laneEnd,
          lane,
          model,
          text: dataOf(ofLane, 'message').reduce((all, { text }) => all + text, ''),
          reasoning: dataOf(ofLane, 'reasoning').reduce((all, { reasoning }) => all + reasoning, ''),
          data: dataOf(ofLane, 'data').map(({ name, value }) => ({ name, value })),
          files: ofLane.flatMap((event) => {
            if (event.type !== 'file') return []
            const { run: _, lane: _lane, ...file } = event.data
            return [{ ...file, position: `k3f9a2xq-${events.indexOf(event) + 1}` }]
          }),
          parts: lookUpParts(ofLane, (event) => `k3f9a2xq-${events.indexOf(event) + 1}`),
        }
      }),
    }
  })
}

/** Pieces of one kind are one part. */
function lookUpParts(events: readonly SessionEvent[], positionOf: (event: SessionEvent) => string): readonly LanePart[] {
  const pieces = events.flatMap((event): LanePart[] => {
    if (event.type === 'message') return [{ type: 'text', text: event.data.text }]
    if (event.type === 'reasoning') return [{ type: 'reasoning', text: event.data.reasoning }]
    if (event.type === 'data') return [{ type: 'data', name: event.data.name, value: event.data.value }]
    if (event.type !== 'file') return []
    const { run: _, lane: _lane, ...file } = event.data
    return [{ type: 'file', ...file, position: positionOf(event) }]
  })
  return pieces
    .filter((piece, index) => index === 0 || !('text' in piece) || pieces[index - 1]?.type !== piece.type)
    .map((piece) => {
      if (!('text' in piece)) return piece
      const rest = pieces.slice(pieces.indexOf(piece))
      const end = rest.findIndex(({ type }) => type !== piece.type)
      const text = rest
        .slice(0, end === -1 ? undefined : end)
        .map((one) => ('text' in one ? one.text : ''))
        .join('')
      return { ...piece, text }
    })
}

function dataOf<T extends keyof SessionEvents>(events: readonly SessionEvent[], type: T): SessionEvents[T][] {
  return events.filter((event) => event.type === type).map(({ data }) => data as SessionEvents[T])
}

/** Steps of three runs that overlap; the first has one lane, the others two. */
const step = fc.record({
  kind: fc.constantFrom(
    'message',
    'message',
    'message',
    'reasoning',
    'data',
    'file',
    'lane_end',
    'lane_end',
    'stream_end',
    'stream_end',
  ),
  run: fc.nat(2),
  lane: fc.constantFrom('a', 'b'),
  text: fc.string({ minLength: 1, maxLength: 4, unit: fc.constantFrom('1', ' ', '你', '👋', '\n') }),
})

/** Keeps the rules of PROTOCOL.md#events whatever the steps are: one start, one end, nothing after an end. */
function writeLog(steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]): SessionEvent[] {
  const events: SessionEvent[] = []
  const open = new Map<number, { run: string; lanes: Set<string>; hasSeveral: boolean; ended: Record<string, LaneEnd> }>()
  /** The last run of each number that has ended, and what is left of it to go on with. */
  const left = new Map<number, { run: string; lanes: readonly string[] }>()
  for (const [index, { kind, run: number, lane, text }] of steps.entries()) {
    const known = open.get(number)
    if (known === undefined) {
      const before = kind === 'message' ? left.get(number) : undefined
      const lanes = before?.lanes ?? (number === 0 ? ['a'] : ['a', 'b'])
      const run = `run-${index}`
      open.set(number, { run, lanes: new Set(lanes), hasSeveral: lanes.length > 1, ended: {} })
      events.push(before === undefined ? start(run, ...lanes) : goOn(before.run, run, ...lanes))
      left.delete(number)
      continue
    }
    const { run, lanes, hasSeveral, ended } = known
    if (kind === 'stream_end' || lanes.size === 0) {
      open.delete(number)
      if (lanes.size > 0) left.set(number, { run, lanes: [...lanes] })
      for (const one of lanes) ended[one] = { ...end('stopped', index), model: `${one}-model` }
      events.push({ type: 'stream_end', data: { run, ...end('stopped', 7), ...(hasSeveral && { lanes: ended }) } })
    } else if (!lanes.has(lane)) continue
    else if (kind === 'lane_end' && number > 0) {
      lanes.delete(lane)
      const laneEnd = { ...end('completed', index), model: `${lane}-model` }
      ended[lane] = laneEnd
      events.push({ type: 'lane_end', data: { run, lane, ...laneEnd } })
    } else if (kind === 'reasoning') events.push({ type: 'reasoning', data: { run, lane, reasoning: text } })
    else if (kind === 'data') events.push({ type: 'data', data: { run, lane, name: 'note', value: text } })
    else if (kind === 'file') {
      events.push({ type: 'file', data: { run, lane, mediaType: 'text/plain', name: text, size: 1 } })
      events.push({ type: 'file_data', data: Uint8Array.of(text.length) })
    } else events.push(say(run, lane, text))
  }
  return events
}

/** A run that went on with some of the lanes of another has ended. */
function endsContinuationOfPart(events: readonly SessionEvent[]): boolean {
  const starts = dataOf(events, 'stream_start')
  const lanesOf = (id: string | undefined) => starts.find(({ run }) => run === id)?.lanes.length ?? 0
  const ended = new Set(dataOf(events, 'stream_end').map(({ run }) => run))
  return starts.some(({ run, lanes, continues }) => ended.has(run) && lanes.length < lanesOf(continues))
}

/** A transcript has none: a reader with the bytes of a file has its own. */
function withoutBytes(runs: ChatTranscript['runs']): ChatTranscript['runs'] {
  return runs.map((run) => ({
    ...run,
    lanes: run.lanes.map((lane) => ({
      ...lane,
      files: lane.files.map(({ bytes, ...file }) => {
        expect([undefined, file.name?.length]).toContain(bytes?.[0])
        return file
      }),
    })),
  }))
}

describe('folding the events of a log', () => {
  it('gives what is in the log, wherever one reading ended and the next began', () => {
    let partial = 0
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100, size: 'max' }), fc.nat(100), (steps, cut) => {
        const events = writeLog(steps)
        if (endsContinuationOfPart(events)) partial++
        const snapshotAt = (offset: number) => joinTranscript({ ...empty, runs: lookUp(events.slice(0, offset)) })
        const { runs, position } = fold(snapshotAt(cut), events.slice(cut), Math.min(cut, events.length))
        expect(withoutBytes(runs)).toEqual(snapshotAt(events.length).runs)
        if (cut < events.length) expect(position).toBe(`k3f9a2xq-${events.length}`)
      }),
      { numRuns: 300 },
    )
    // Once in 300 logs there was such a continuation, and never its end: the test saw nothing of what it did to the other lane.
    expect(partial).toBeGreaterThan(20)
  })

  it('makes one answer of a run and those that continue it, at the place of the first', () => {
    const failed: SessionEvent = {
      type: 'stream_end',
      data: {
        run: 'one',
        ...end('failed', 2),
        error: { code: 'model_failed', message: 'broke', retryable: true },
        lanes: {
          a: { ...end('completed', 2), model: 'a-model' },
          b: { ...end('failed', 1), model: 'b-model', error: { code: 'model_failed', message: 'broke', retryable: true } },
        },
      },
    }
    const before = fold(empty, [
      start('one', 'a', 'b'),
      say('one', 'a', 'whole'),
      say('one', 'b', 'half '),
      failed,
      start('two', 'a'),
    ])
    const goingOn = fold(before, [goOn('one', 'three', 'b'), say('three', 'b', 'more ')], 5)
    expect(goingOn.runs).toMatchObject([
      {
        run: 'one',
        continuedBy: 'three',
        query: 'one?',
        status: 'streaming',
        lanes: [{ status: 'completed' }, { text: 'half more ' }],
      },
      { run: 'two' },
    ])
    // Of an end that no longer is one nothing is left to be shown.
    expect(goingOn.runs[0]?.error).toBeUndefined()
    expect(goingOn.runs[0]?.lanes[1]?.error).toBeUndefined()
    expect(goingOn.runs[0]?.lanes[0]).toBe(before.runs[0]?.lanes[0])

    const stopped = fold(goingOn, [finish('three', 'stopped')], 7)
    const done = fold(stopped, [goOn('three', 'four', 'b'), say('four', 'b', 'end'), finish('four', 'completed', 7)], 8)
    expect(done.runs).toMatchObject([
      {
        run: 'one',
        continuedBy: 'four',
        status: 'completed',
        lanes: [{ text: 'whole' }, { text: 'half more end', status: 'completed', usage: { outputTokens: 11 } }],
      },
      { run: 'two' },
    ])
  })

  // What happened: the end of the second run was written over both lanes, until the page was loaded again.
  it.each(['completed', 'stopped'] as const)('leaves a lane its own end when what continues the others is %s', (status) => {
    const lanes = {
      a: { ...end('completed', 11), model: 'a-model' },
      b: { ...end('failed', 1), model: 'b-model' },
    }
    const before = fold(empty, [
      start('one', 'a', 'b'),
      { type: 'lane_end', data: { run: 'one', lane: 'a', ...lanes.a } },
      { type: 'stream_end', data: { run: 'one', ...end('completed', 12), lanes } },
    ])
    const { runs } = fold(before, [goOn('one', 'two', 'b'), finish('two', status, 7)], 3)
    expect(runs[0]?.lanes[0]).toBe(before.runs[0]?.lanes[0])
    expect(runs[0]?.lanes[1]).toMatchObject({
      status,
      usage: { outputTokens: 8, cachedInputTokens: 2 },
      timings: { firstTokenMs: 20, durationMs: 800 },
    })
  })

  it('adds up what an answer and what continues it cost, of those that have a price', () => {
    const priced = (run: string, amount: number): SessionEvent => ({
      type: 'stream_end',
      data: { run, ...end('stopped'), cost: { amount, currency: 'USD' } },
    })
    const { runs } = fold(empty, [start('one', 'a'), priced('one', 0.1), goOn('one', 'two', 'a'), priced('two', 0.2)])
    const cost = { amount: 0.3, currency: 'USD' }
    expect(runs).toMatchObject([{ cost, lanes: [{ cost }] }])
    const unpriced = fold(empty, [start('one', 'a'), priced('one', 0.1), goOn('one', 'two', 'a'), finish('two', 'completed')])
    expect(unpriced.runs[0]?.cost).toEqual({ amount: 0.1, currency: 'USD' })
  })

  it('gives a file its bytes, whatever else was given one before, and leaves the other lanes as they were', () => {
    const file = (run: string, lane: string, name: string): SessionEvent => ({
      type: 'file',
      data: { run, lane, mediaType: 'image/png', name, size: 2 },
    })
    const bytes = (...values: number[]): SessionEvent => ({ type: 'file_data', data: Uint8Array.from(values) })
    const other = [start('two', 'a'), file('two', 'a', 'other'), bytes(9, 9)]
    const before = fold(empty, [start('one', 'a', 'b'), file('one', 'a', 'first'), bytes(1, 1), ...other])
    const told = fold(before, [file('one', 'a', 'second')], 6)
    expect(told.runs[0]?.lanes[0]?.files[1]).not.toHaveProperty('bytes')
    const after = fold(told, [bytes(2, 2), say('one', 'a', 'so')], 7)
    expect(after.runs[0]?.lanes[0]?.files).toEqual([
      { mediaType: 'image/png', name: 'first', size: 2, position: 'k3f9a2xq-2', bytes: Uint8Array.of(1, 1) },
      { mediaType: 'image/png', name: 'second', size: 2, position: 'k3f9a2xq-7', bytes: Uint8Array.of(2, 2) },
    ])
    expect(after.runs[0]?.lanes[1]).toBe(before.runs[0]?.lanes[1])
    expect(after.runs[1]).toBe(before.runs[1])
    // A file that was cut off by retention.
    expect(fold(after, [bytes(3)], 9).runs).toEqual(after.runs)
  })

  it('shows what continues a run that is no longer kept as a run of its own', () => {
    const { runs } = fold(empty, [goOn('gone', 'next', 'a'), say('next', 'a', 'the rest')])
    expect(runs).toMatchObject([{ run: 'next', continues: 'gone', lanes: [{ text: 'the rest' }] }])
    expect(runs[0]).not.toHaveProperty('continuedBy')
  })

  it('leaves every run and lane that an event does not speak of as the object it was', () => {
    const before = fold(empty, [start('one', 'a'), start('two', 'a', 'b')])
    const after = fold(before, [say('two', 'b', 'hello')], 2)
    expect(after.runs[0]).toBe(before.runs[0])
    expect(after.runs[1]?.lanes[0]).toBe(before.runs[1]?.lanes[0])
    expect(after.runs[1]?.lanes[1]?.text).toBe('hello')
  })

  it('moves past what it does not know: a run without a start, an event of a newer server', () => {
    const later = { type: 'lane_moved', data: { run: 'one', lane: 'a' } } as unknown as SessionEvent
    const before = fold(empty, [start('one', 'a')])
    const after = fold(before, [say('lost', 'a', 'half an answer'), later], 1)
    expect(after).toEqual({ ...before, position: 'k3f9a2xq-3' })
  })

  it('ends what will never end by itself as interrupted, and keeps what was said and what had ended', () => {
    const ended: SessionEvent = { type: 'stream_end', data: { run: 'one', ...end('completed') } }
    const before = fold(empty, [start('one', 'a'), ended, start('two', 'a'), say('two', 'a', 'half')])
    const { runs } = interruptTranscript(before)
    expect(runs[0]).toEqual(before.runs[0])
    expect(runs[1]).toMatchObject({ status: 'interrupted', lanes: [{ status: 'interrupted', text: 'half' }] })
  })
})
