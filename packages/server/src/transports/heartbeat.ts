/**
 * The heartbeat of all connections: one timer for everybody instead of one each. A member beats
 * every `periodMs` from the time it joined, to within a hundredth of the period or so; the work of
 * a beat is cut into slices like every other writing.
 */
import type { Scheduler, Task } from '../delivery/scheduler.ts'

/** Acknowledgements of readers, which may reach any server that shares the engine. `cluster/` implements it. */
export interface HeartbeatAcks {
  /** The name of a stream of this server that is to be answered. */
  newStream(): string
  /** A reader has answered, to whichever server. */
  acknowledge(stream: string): void
  /** Another server has passed these on. */
  acknowledgeAll(streams: readonly string[]): void
}

export interface Heartbeat {
  /** Calls `beat` every period until the returned function is called, with milliseconds of a clock that only runs forward. */
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
      // The slot that has just passed comes round again after one period.
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
          // The others have their heartbeat all the same, in the next turn.
          scheduler.add(task)
          throw error
        }
      }
      return 'more'
    },
  }
  return task
}
