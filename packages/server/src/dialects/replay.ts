/** Finds where a reader resumes in a run, by rendering the run again from its first event: frames are not stored. */
import { MillraceError, type Position, parsePosition, type QualifiedPosition } from '@millrace/protocol'
import type { Engine, LogEvent } from '../log/log.ts'
import type { Frame, RunDialect, RunEvent } from './run-dialect.ts'

/** One run of a session, in a dialect. */
export interface RunView {
  readonly session: string
  readonly run: string
  /** Before its first event. */
  readonly start: Position
  readonly dialect: RunDialect
}

export type RenderEvent = (event: LogEvent) => readonly Frame[]

/** Renders the events of the log that are the run's; the bytes of a file belong to the event before them. */
export function renderRun(dialect: RunDialect, run: string): RenderEvent {
  const renderer = dialect.begin()
  let isFile = false
  return (event) => {
    const isOurs = event.data instanceof Uint8Array ? isFile : (event.data as { run?: string }).run === run
    isFile = isOurs && event.type === 'file'
    // A decision about a call comes after the run's end.
    return isOurs && event.type !== 'tool_decision' ? renderer.render(event as unknown as RunEvent) : none
  }
}

const none: readonly Frame[] = []

export function isEndOf(run: string, { type, data }: LogEvent): boolean {
  return type === 'stream_end' && (data as { run?: string }).run === run
}

/** A reader's place in a run. */
export interface RunPlace {
  readonly after: Position
  /** Has rendered every event up to `after`. */
  readonly render: RenderEvent
  /** Frames up to `after`, with those in `rest`. */
  readonly frames: number
  /** One event may give several frames: those of the event at `after` that the reader lacks, and the number of those that it has. */
  readonly rest: readonly Frame[]
  readonly has: number
  /** The run has ended, and `rest` are its last frames. */
  readonly isEnd: boolean
  /** The reader has the frame in `rest` already. */
  readonly isRepeated?: boolean
}

/** `frame`: the id of the last frame that the reader has. `count`: how many it has. `head`: all that there are. */
export type Target = { readonly frame: string } | { readonly count: number } | 'head'

/** Rejects as `Engine.read` does, with `position_invalid`, and where an event is not kept any more with `position_expired`. */
export async function replayRun(
  engine: Pick<Engine, 'read'>,
  { session, run, start, dialect }: RunView,
  target: Target,
): Promise<RunPlace> {
  const render = renderRun(dialect, run)
  const wanted = typeof target === 'object' && 'frame' in target ? requireFrame(target.frame, session, start) : undefined
  const count = typeof target === 'object' && 'count' in target ? target.count : undefined
  let after = start
  let frames = 0
  const place = (rest: readonly Frame[] = none, has = 0, isEnd = false) => ({ after, render, frames, rest, has, isEnd })
  if (count === 0 || wanted?.offset === start.offset) return place()
  for (;;) {
    const { events, gap, position } = await engine.read(session, after, page)
    if (gap !== undefined) throw new MillraceError('position_expired')
    for (const event of events) {
      const rendered = render(event)
      const before = frames
      after = { epoch: start.epoch, offset: event.offset }
      frames += rendered.length
      const isEnd = isEndOf(run, event)
      if (wanted?.offset === event.offset) {
        const has = Math.min(wanted.frames ?? rendered.length, rendered.length)
        if (isEnd && has === rendered.length && dialect.repeatsEnd)
          return { ...place(rendered.slice(-1), has, isEnd), isRepeated: true }
        return place(rendered.slice(has), has, isEnd)
      }
      if (count !== undefined && frames >= count) return place(rendered.slice(count - before), count - before, isEnd)
      if (isEnd && wanted === undefined) return place(none, rendered.length, true)
    }
    if (events.length === 0 && wanted !== undefined) throw new MillraceError('position_ahead')
    if (events.length === 0) return place()
    after = position
    // Other readers wait while a page is rendered.
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const page = { eventsMax: 512 }

const frameId = /^(.*?)(?:\.(0|[1-9][0-9]{0,5}))?$/

/** The id of frame `index` of the `count` of an event: its position, and before the last frame the frame's number. */
export function formatFrameId(position: string, index: number, count: number): string {
  return index === count - 1 ? position : `${position}.${index}`
}

export interface FramePosition extends QualifiedPosition {
  /** How many frames of the event the reader has; undefined for all. */
  readonly frames: number | undefined
}

/** Undefined for what is not the id of a frame. */
export function parseFrameId(text: string): FramePosition | undefined {
  const [, token = '', index] = frameId.exec(text) ?? []
  const position = parsePosition(token)
  return position && { ...position, frames: index === undefined ? undefined : Number(index) + 1 }
}

function requireFrame(id: string, session: string, start: Position): FramePosition {
  const position = parseFrameId(id)
  if (position === undefined) throw new MillraceError('position_invalid')
  if (position.epoch !== start.epoch || (position.session ?? session) !== session) throw new MillraceError('position_foreign')
  if (position.offset < start.offset) throw new MillraceError('position_expired')
  return position
}
