/**
 * Several cursors that share one sink: a connection that reads many logs over one stream. What all of them write in one
 * tick is sent in frames, and each frame carries the positions of all logs. A reader gets a frame as a whole or not at
 * all, so events and positions cannot diverge: resume is as exact as with one log. See
 * docs/decisions/0019-one-stream-for-many-logs.md.
 */
import { MillraceError, type Position } from '@millrace/protocol'
import type { CloseListener, Cursor } from './cursor.ts'
import type { Attachment } from './fan-out.ts'
import type { Scheduler, Task } from './scheduler.ts'
import type { Sink } from './wire.ts'

/** Bytes of events in one frame, unless a single write of a cursor is larger. */
const frameBytesMax = 64 * 1024

export interface GroupMember extends Omit<Attachment, 'sink' | 'blocked'> {
  /** The reader gets it in place of further events when this log can no longer be read. */
  readonly encodeEnd: (error: MillraceError) => Uint8Array
}

export interface CursorGroupOptions {
  readonly attach: (attachment: Attachment) => Cursor
  readonly scheduler: Scheduler
  /** At least one. */
  readonly members: readonly GroupMember[]
  readonly sink: Sink
  /** One frame: events of any of the logs, and the reader's position in each log after them, in the order of the members. */
  readonly encodeFrame: (events: readonly Uint8Array[], positions: readonly Position[]) => Uint8Array
}

interface Piece {
  readonly member: number
  /** The offset of the member's last event in `bytes`. */
  readonly offset: number
  readonly bytes: Uint8Array
}

export class CursorGroup implements Task {
  readonly #options: CursorGroupOptions
  readonly cursors: readonly Cursor[]
  /** The reader's position in each log, after the frames written so far. */
  readonly #positions: Position[]
  #pieces: Piece[] = []
  #open: number
  #onClose: CloseListener | undefined
  closed = false
  /** The sink is full. */
  blocked = false

  constructor(options: CursorGroupOptions) {
    const { attach, members } = options
    this.#options = options
    this.#positions = members.map(({ after }) => after)
    this.#open = members.length
    this.cursors = members.map((member, index) =>
      attach({
        ...member,
        sink: {
          write: (bytes) => this.#add(index, this.cursors[index]?.offset ?? 0, bytes),
          end: (error) => this.#endMember(index, error),
          // A reader with the policy `close` is closed, whichever log it was slow for.
          onSlow: () => this.#closeSlow(),
        },
      }),
    )
  }

  /** Grows with every event that the reader gets; a heartbeat checks by it whether a blocked reader makes progress. */
  get offset(): number {
    return this.#positions.reduce((sum, { offset }) => sum + offset, 0)
  }

  /** The listener is called once, when the reader has disconnected or the last log has ended. */
  onceClosed(listener: CloseListener): void {
    if (this.closed) listener.onCursorClosed()
    else this.#onClose = listener
  }

  drained(): void {
    if (!this.blocked) return
    this.blocked = false
    for (const cursor of this.cursors) cursor.drained()
  }

  /** The reader has disconnected. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.#pieces = []
    for (const cursor of this.cursors) cursor.close()
    this.#onClose?.onCursorClosed()
  }

  /** Closes the connection after the frames that are pending. */
  end(): void {
    if (this.closed) return
    this.step()
    this.close()
    this.#options.sink.end()
  }

  /** Writes the events since the last tick, in one write. */
  step(): 'done' {
    const frames: Uint8Array[] = []
    let events: Uint8Array[] = []
    let size = 0
    for (const { member, offset, bytes } of this.#pieces) {
      if (size > 0 && size + bytes.length > frameBytesMax) {
        frames.push(this.#options.encodeFrame(events, this.#positions))
        events = []
        size = 0
      }
      events.push(bytes)
      size += bytes.length
      this.#positions[member] = { epoch: (this.#positions[member] as Position).epoch, offset }
    }
    this.#pieces = []
    if (events.length > 0) frames.push(this.#options.encodeFrame(events, this.#positions))
    if (frames.length > 0 && !this.#options.sink.write(frames.length === 1 ? (frames[0] as Uint8Array) : Buffer.concat(frames)))
      this.blocked = true
    return 'done'
  }

  #add(member: number, offset: number, bytes: Uint8Array): boolean {
    this.#pieces.push({ member, offset, bytes })
    this.#options.scheduler.add(this)
    // Each cursor then waits after this one write, so the memory of a slow reader is bounded.
    return !this.blocked
  }

  #endMember(index: number, error: unknown): void {
    if (this.closed) return
    this.#open -= 1
    // A wire that has written its last event ends without an error.
    if (error !== undefined) {
      const known = error instanceof MillraceError ? error : new MillraceError('internal', { cause: error })
      const { encodeEnd } = this.#options.members[index] as GroupMember
      this.#add(index, this.cursors[index]?.offset ?? 0, encodeEnd(known))
    }
    if (this.#open === 0) this.end()
  }

  #closeSlow(): void {
    if (this.closed) return
    this.close()
    const { sink } = this.#options
    if (sink.onSlow === undefined) sink.end()
    else sink.onSlow()
  }
}
