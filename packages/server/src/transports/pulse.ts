/**
 * The heartbeat of all connections: one timer for everybody instead of one each. A member beats
 * every `periodMs` from the time it joined, to within a hundredth of the period or so; the work of
 * a beat is cut into slices like every other writing.
 */
import type { Task, Turns } from '../log/turns.ts'

export interface Pulse {
  /** Calls `beat` every period until the returned function is called. */
  join(beat: () => void): () => void
  close(): void
}

const slots = 60
const beatsPerStep = 64

export function createPulse({ turns, periodMs }: { turns: Turns; periodMs: number }): Pulse {
  const wheel = Array.from({ length: slots }, () => new Set<() => void>())
  let members = 0
  let slot = 0
  let timer: NodeJS.Timeout | undefined

  return {
    join(beat) {
      // The slot that has just passed comes round again after one period.
      const own = wheel[(slot + slots - 1) % slots] as Set<() => void>
      const member = () => beat()
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
    const due = wheel[slot] as Set<() => void>
    slot = (slot + 1) % slots
    if (due.size > 0) turns.add(beatAll(due))
  }
}

function beatAll(due: Set<() => void>): Task {
  const members = due.values()
  return {
    step() {
      for (let beats = 0; beats < beatsPerStep; beats++) {
        const { value: beat, done } = members.next()
        if (done) return 'done'
        beat()
      }
      return 'more'
    },
  }
}
