/**
 * A dialect of another product's clients renders one run as frames. A frame may depend on those before it: parts have a start
 * and an end, calls are numbered, usage is summed. So rendering starts with the run's first event, and depends on nothing but
 * the events. A transport then writes each frame as a server-sent event, a line or a message.
 */
import type { MillraceError, SessionEvent } from '@millrace/protocol'
import type { LogEvent } from '../log/log.ts'

export interface RunDialect {
  /** Readers of one run whose dialects have the same key share every byte: it MUST name all that the frames depend on. */
  readonly key: string
  /**
   * Deltas that follow each other may become one frame for a reader that is behind. MUST be false where clients count
   * frames: the frames of an event must then have the same numbers for every reader.
   */
  readonly merges: boolean
  /** Frames have ids, at which a reader resumes. Where clients cannot resume, every reader starts with the run. */
  readonly hasIds: boolean
  /**
   * A client that resumes after the last frame, because its connection broke before the response ended, takes a response
   * without it for an incomplete run: it is sent the frame again, without an id.
   */
  readonly repeatsEnd?: boolean
  /** A renderer for a reader that starts with the run's first event. */
  begin(): Renderer
  /** The frames that end the stream when the rest of the run cannot be read. MUST include the one by which clients notice the end. */
  fail(error: MillraceError): readonly Frame[]
}

/** An event of the run, as it is in the log. */
export type RunEvent = SessionEvent & Pick<LogEvent, 'offset' | 'time'>

/** MUST be a function of the events alone: no clock, no random number. Times are those of the events. */
export interface Renderer {
  /**
   * The frames of the next event, which may be none. Called with every event of the run in order, and no other's. The bytes of
   * a file are an event of type `file_data` after its `file`. The run's last event is `stream_end`, whose last frame MUST be
   * the one by which clients notice the end, however the run ended.
   */
  render(event: RunEvent): readonly Frame[]
}

export interface Frame {
  /** The name of a server-sent event; absent for none. */
  readonly event?: string
  /** One line, most often of JSON. */
  readonly data: string
}
