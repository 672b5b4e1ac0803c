/**
 * One run: what it says, as it is said, and how it ended. Its events are read once, however many look, from its start on,
 * while somebody looks.
 */
import { addToParts, type Lane, type LaneEnd, type LanePart, type RunEnd, type SessionEvent } from '@millrace/protocol'
import type { CallOptions } from './deadline.ts'
import { MillraceError } from './errors.ts'
import type { Reader } from './link/reader.ts'

/** An event of the run and the position after it. `file_data` are the bytes of the `file` before it. */
export type RunEvent = SessionEvent & { readonly id: string }

/** What an answer is made of, as in a transcript, and of which lane it is. */
export type RunPart = { readonly lane: string } & (
  | Exclude<LanePart, { readonly type: 'file' }>
  /** `bytes` come with the change after the one that brings the file. */
  | (Extract<LanePart, { readonly type: 'file' }> & { readonly bytes?: Uint8Array<ArrayBuffer> })
)

/** `for await` gives it as it grows; `await` gives the whole when the run has ended. */
export type Growing<T> = AsyncIterable<T> & PromiseLike<T>

export interface LaneView {
  /** Each delta; or all of it. */
  readonly text: Growing<string>
  /** The parts so far, at every change; or all of them. A part that did not change is the same object. */
  readonly parts: Growing<readonly RunPart[]>
  /** How the lane ended. Also `failed` and `stopped` are ends: this rejects only where the run cannot be read to its end. */
  readonly done: Promise<LaneEnd>
}

/**
 * Iterate over it for its events. Reads while somebody waits for one of its properties; rejects with a MillraceError, such as
 * `position_expired` where retention removed a part of the run.
 */
export interface RunView extends AsyncIterable<RunEvent>, Omit<LaneView, 'done'> {
  readonly id: string
  /** The text of the first lane. */
  readonly text: Growing<string>
  /** The parts of all lanes, one lane after the other. */
  readonly parts: Growing<readonly RunPart[]>
  readonly done: Promise<RunEnd>
  /** One lane, by its name in `stream_start`. Rejects with a TypeError where the run has none of that name. */
  lane(name: string): LaneView
  /**
   * Stops the run for everybody. Resolves with its end, which keeps what was said. Sent as soon as the start has been, though
   * that is not answered, and before everything else that waits.
   */
  stop(options?: StopOptions): Promise<RecordedEnd>
}

export interface StopOptions extends CallOptions {
  /** Stops only this lane, and resolves with its end. */
  readonly lane?: string
}

/** An end; `position` is after it, with the session, and absent where its log is gone. */
export type RecordedEnd = RunEnd & { readonly position?: string }

export interface RunViewOptions extends Pick<RunView, 'id' | 'stop'> {
  /** Resolves with a position before the run's first event, or `start`. */
  readonly locate: () => Promise<string>
  readonly open: (from: string) => Reader
}

export function createRunView({ id, stop, ...options }: RunViewOptions): RunView {
  const follow = createFollower(id, options)
  const lane = (name?: string) => ({
    text: growing(
      () => textOf(follow(), name),
      '',
      (text, piece) => text + piece,
    ),
    parts: growing<readonly RunPart[]>(
      () => partsOf(follow(), name),
      [],
      (_, parts) => parts,
    ),
    get done() {
      return endOf(follow(), name)
    },
  })
  return withGetters({ id, stop, lane, [Symbol.asyncIterator]: follow }, lane()) as RunView
}

/** `Object.assign` would call the getters, and what calls `done` reads. */
export function withGetters<A extends object, B extends object>(target: A, source: B): A & B {
  return Object.defineProperties(target, Object.getOwnPropertyDescriptors(source)) as A & B
}

/** Returns what iterates over the run's events. They are read once, and kept for those who look later. */
function createFollower(id: string, { locate, open }: Pick<RunViewOptions, 'locate' | 'open'>): () => AsyncGenerator<RunEvent> {
  const events: RunEvent[] = []
  let position: string | undefined
  let reader: Reader | undefined
  let isReading = false
  let failure: { readonly error: unknown } | undefined
  let changed = Promise.withResolvers<void>()
  let lookers = 0

  return async function* follow() {
    lookers++
    if (!isReading && !hasEnded()) void read()
    try {
      for (let next = 0; ; ) {
        const event = events[next++]
        if (event !== undefined) yield event
        else if (hasEnded()) return
        else if (failure !== undefined) throw failure.error
        else {
          next--
          await changed.promise
        }
      }
    } finally {
      if (--lookers === 0) {
        reader?.end()
        reader = undefined
      }
    }
  }

  /** Never rejects. */
  async function read(): Promise<void> {
    isReading = true
    failure = undefined
    try {
      // Where the last one left in the middle, another may look before this has ended.
      while (lookers > 0 && !hasEnded()) {
        position ??= await locate()
        const own = open(position)
        reader = own
        for await (const event of own as AsyncIterable<RunEvent>) {
          take(event)
          if (hasEnded()) break
        }
        if (reader === own && !hasEnded()) throw new MillraceError('closed')
      }
    } catch (error) {
      failure = { error }
    }
    isReading = false
    notify()
  }

  function take(event: RunEvent | { readonly type: 'gap'; readonly id: string }): void {
    const last = events.at(-1)
    const isBytes = event.type === 'file_data' && last?.type === 'file' && last.id === position
    // Before the start of a run that is looked for from the start of the log, something may be missing.
    const isMissing = event.type === 'gap' && (last !== undefined || position !== 'start')
    position = event.id
    const isOwn = isBytes || (event.type !== 'file_data' && event.type !== 'gap' && 'run' in event.data && event.data.run === id)
    if (isMissing || (isOwn && last === undefined && event.type !== 'stream_start')) throw new MillraceError('position_expired')
    if (!isOwn) return
    events.push(event as RunEvent)
    notify()
  }

  function hasEnded(): boolean {
    return events.at(-1)?.type === 'stream_end'
  }

  function notify(): void {
    changed.resolve()
    changed = Promise.withResolvers()
  }
}

function growing<T>(iterate: () => AsyncIterable<T>, first: T, add: (whole: T, piece: T) => T): Growing<T> {
  const collect = async () => {
    let whole = first
    for await (const piece of iterate()) whole = add(whole, piece)
    return whole
  }
  return {
    [Symbol.asyncIterator]: () => iterate()[Symbol.asyncIterator](),
    // biome-ignore lint/suspicious/noThenProperty: it is awaited for the whole, which is collected only then.
    then: (onWhole, onError) => collect().then(onWhole, onError), // oxlint-disable-line unicorn/no-thenable
  }
}

async function* textOf(events: AsyncIterable<RunEvent>, name: string | undefined): AsyncGenerator<string> {
  let lane = name
  for await (const { type, data } of events) {
    if (type === 'stream_start') lane = find(data.lanes, name).lane
    else if (type === 'message' && data.lane === lane) yield data.text
  }
}

async function* partsOf(events: AsyncIterable<RunEvent>, name: string | undefined): AsyncGenerator<readonly RunPart[]> {
  const all = new Map<string, readonly RunPart[]>()
  let lane = ''
  for await (const event of events) {
    if (event.type === 'stream_start') for (const one of findAll(event.data.lanes, name)) all.set(one.lane, [])
    // The bytes are of the lane of the file before them.
    if (event.type !== 'file_data') lane = 'lane' in event.data ? event.data.lane : ''
    const before = all.get(lane)
    if (before === undefined) continue
    const parts = addPart(before, event, lane)
    if (parts.every((part, index) => part === before[index])) continue
    all.set(lane, parts)
    yield [...all.values()].flat()
  }
}

/** A part that did not change is the same object. */
function addPart(before: readonly RunPart[], event: RunEvent, lane: string): readonly RunPart[] {
  const parts: (LanePart | RunPart)[] = [...before]
  if (event.type !== 'file_data') addToParts(parts, event, event.id)
  else if (parts.at(-1)?.type === 'file') parts.push({ ...(parts.pop() as RunPart), bytes: event.data } as RunPart)
  return parts.map((part) => ('lane' in part ? part : { ...part, lane }))
}

/** Of a lane that is named, else of the run. */
async function endOf(events: AsyncIterable<RunEvent>, name: string | undefined): Promise<RunEnd | LaneEnd> {
  let model = ''
  for await (const { type, data } of events) {
    if (type === 'stream_start') model = find(data.lanes, name).model
    else if (type === 'lane_end' && data.lane === name) {
      const { run: _, lane: __, ...end } = data
      return end
    } else if (type === 'stream_end') {
      const { run: _, ...end } = data
      return name === undefined ? end : (end.lanes?.[name] ?? { ...end, model })
    }
  }
  // Iterating throws where there is no end.
  throw new MillraceError('closed')
}

function find(lanes: readonly Lane[], name: string | undefined): Lane {
  return findAll(lanes, name)[0] as Lane
}

function findAll(lanes: readonly Lane[], name: string | undefined): readonly Lane[] {
  const found = lanes.filter(({ lane }) => lane === (name ?? lane))
  if (found.length > 0) return found
  throw new TypeError(`There is no lane "${name}".`)
}
