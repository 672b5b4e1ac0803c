/**
 * The heartbeat of all connections: one shared timer. A member's `beat` is called every `periodMs` from the time it joined, to
 * about a hundredth of the period. The scheduler runs the calls in slices, like every other write.
 */
import type { Scheduler, Task } from '../delivery/scheduler.ts'

/** Acknowledgements of readers, which may reach any server that shares the engine. `cluster/` implements it. */
export interface HeartbeatAcks {
  /** A name for a stream of this server whose heartbeats are acknowledged. */
  newStream(): string
  /** A client has acknowledged a stream of this or another server. */
  acknowledge(stream: string): void
  /** Acknowledgements that another server has passed on. */
  acknowledgeAll(streams: readonly string[]): void
}

export interface Heartbeat {
  /** Calls `beat` every period until the returned function is called, with the milliseconds of a monotonic clock. */
  join(beat: (clock: number) => void): () => void
  close(): void
}

const slots = 60
const heartbeatsPerStep = 64

export function createHeartbeat({ scheduler, periodMs }: { scheduler: Scheduler; periodMs: number }): Heartbeat {
  const wheel = Array.from({ length: slots }, () => new Set<(clock: number) => void>())
  let members = 0
  let slot = 0
  let timer: NodeJS.Timeout | undefined

  return {
    join(beat) {
      // The previous slot is due again after one period.
      const own = wheel[(slot + slots - 1) % slots] as Set<(clock: number) => void>
      const member = (clock: number) => beat(clock)
      own.add(member)
      members += 1
      timer ??= setInterval(tick, periodMs / slots)
      return () => {
        if (!own.delete(member)) return
        members -= 1
        if (members === 0) stop()
      }
    },
    close: stop,
  }

  function stop(): void {
    clearInterval(timer)
    timer = undefined
  }

  function tick(): void {
    const due = wheel[slot] as Set<(clock: number) => void>
    slot = (slot + 1) % slots
    if (due.size > 0) scheduler.add(sendAll(due, scheduler))
  }
}

function sendAll(due: Set<(clock: number) => void>, scheduler: Scheduler): Task {
  const members = due.values()
  const task: Task = {
    step() {
      const clock = Math.round(performance.now())
      for (let heartbeats = 0; heartbeats < heartbeatsPerStep; heartbeats++) {
        const { value: beat, done } = members.next()
        if (done) return 'done'
        try {
          beat(clock)
        } catch (error) {
          // The other members still get their heartbeat, in the next tick.
          scheduler.add(task)
          throw error
        }
      }
      return 'more'
    },
  }
  return task
}
