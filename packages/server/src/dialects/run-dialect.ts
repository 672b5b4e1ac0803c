/**
 * A dialect of other people's clients: one run, in frames that depend on the frames before them, as brackets around parts,
 * counts and joined usage do. What it renders is a function of the run's events from its first one on. It knows no
 * transport and no engine: a transport puts frames into server-sent events, lines or messages.
 */
import type { MillraceError } from '@millrace/protocol'
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
  /** Of a reader of the run's first event. */
  begin(): Renderer
  /** The frames that end the stream where the run cannot be read on. MUST include the one that tells clients that it has ended. */
  fail(error: MillraceError): readonly Frame[]
}

/** MUST be a function of the events alone: no clock, no random number. Times are those of the events. */
export interface Renderer {
  /**
   * The frames of the next event, which may be none. Called with every event of the run in order, and no other's. The bytes of
   * a file are an event of type `file_data` after its `file`. The run's last event is `stream_end`, whose last frame MUST be
   * the one that tells clients that the stream has ended, whatever the end.
   */
  render(event: LogEvent): readonly Frame[]
}

export interface Frame {
  /** The name of a server-sent event; absent for none. */
  readonly event?: string
  /** One line, most often of JSON. */
  readonly data: string
}
