/**
 * The heartbeat of all connections: one timer for everybody instead of one each. A member beats
 * every `periodMs` from the time it joined, to within a hundredth of the period or so; the work of
 * a beat is cut into slices like every other writing.
 */
import type { Task, Turns } from '../log/turns.ts'

export interface Pulse {
  /** Calls `beat` every period until the returned function is called, with milliseconds of a clock that only runs forward. */
  join(beat: (clock: number) => void): () => void
  close(): void
}

const slots = 60
const beatsPerStep = 64

export function createPulse({ turns, periodMs }: { turns: Turns; periodMs: number }): Pulse {
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
    if (due.size > 0) turns.add(beatAll(due, turns))
  }
}

function beatAll(due: Set<(clock: number) => void>, turns: Turns): Task {
  const members = due.values()
  const task: Task = {
    step() {
      const clock = Math.round(performance.now())
      for (let beats = 0; beats < beatsPerStep; beats++) {
        const { value: beat, done } = members.next()
        if (done) return 'done'
        try {
          beat(clock)
        } catch (error) {
          // The others have their heartbeat all the same, in the next turn.
          turns.add(task)
          throw error
        }
      }
      return 'more'
    },
  }
  return task
}
