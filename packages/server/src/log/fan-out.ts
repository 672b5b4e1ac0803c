/** Hands out cursors: the one way from a log to its readers. Tails are made on demand and shared. */
import type { Position } from '@millrace/protocol'
import { Cursor } from './cursor.ts'
import type { Engine } from './log.ts'
import { Tail } from './tail.ts'
import type { Turns } from './turns.ts'
import type { Sink, SlowPolicy, Wire } from './wire.ts'

export interface Attachment {
  readonly log: string
  /** MUST have been served by this log: the caller has checked it, see `Engine.read` for the refusals. */
  readonly after: Position
  readonly wire: Wire
  readonly sink: Sink
  /** Default `wait`. */
  readonly slow?: SlowPolicy | undefined
  /** The sink takes nothing until the cursor is told that it has `drained()`. Default false. */
  readonly blocked?: boolean
}

export interface FanOut {
  /** Begins to write what comes after a position into a sink, until the cursor is closed or ends. */
  attach(attachment: Attachment): Cursor
}

export interface FanOutOptions {
  readonly engine: Engine
  readonly turns: Turns
  /** Told why readers were let go: a log is gone, or cannot be read. Default: nobody is. */
  readonly onRefused?: (refusal: unknown) => void
}

export function createFanOut({ engine, turns, onRefused = () => {} }: FanOutOptions): FanOut {
  const tails = new Map<string, Tail>()

  return {
    attach(attachment) {
      const cursor = new Cursor({ ...attachment, engine, turns, findTail, onRefused })
      const tail = tails.get(keyOf(cursor))
      if (tail?.reaches(cursor)) cursor.join(tail)
      else void cursor.catchUp()
      return cursor
    },
  }

  function findTail(cursor: Cursor): Tail {
    const key = keyOf(cursor)
    const existing = tails.get(key)
    if (existing !== undefined) return existing
    const { log, epoch, wire, offset } = cursor
    const tail: Tail = new Tail({
      engine,
      turns,
      log,
      epoch,
      wire,
      offset,
      onRefused,
      onEmpty: () => {
        if (tails.get(key) === tail) tails.delete(key)
      },
    })
    tails.set(key, tail)
    return tail
  }
}

function keyOf({ log, epoch, wire }: Cursor): string {
  return `${log}\0${epoch}\0${wire.key}`
}
