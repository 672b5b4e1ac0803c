/**
 * The heartbeat of all connections: one shared timer. A member's `beat` is called every `periodMs` from the time it joined, to
 * a sixtieth of the period. The scheduler runs the calls in slices, like every other write.
 */
import { inSlices } from '../delivery/in-slices.ts'
import type { Scheduler } from '../delivery/scheduler.ts'

/** Acknowledgements of readers, which may reach any server that shares the engine. `cluster/` implements it. */
export interface HeartbeatAcks {
  /** A name for a stream of this server whose heartbeats are acknowledged. */
  newStream(): string
  /** A client has acknowledged a stream of this or another server. */
  acknowledge(stream: string): void
  /** Acknowledgements that another server has passed on. */
  acknowledgeAll(streams: readonly string[]): void
}

export interface Beating {
  /** With the milliseconds of a monotonic clock. */
  beat(clock: number): void
}

export interface Heartbeat {
  /** Calls `beat` every period. */
  join(member: Beating): void
  leave(member: Beating): void
  close(): void
}

const slots = 60

export function createHeartbeat({ scheduler, periodMs }: { scheduler: Scheduler; periodMs: number }): Heartbeat {
  const wheel = Array.from({ length: slots }, () => new Set<Beating>())
  let members = 0
  let slot = 0
  let timer: NodeJS.Timeout | undefined

  return {
    join(member) {
      // The previous slot is due again after one period.
      const own = wheel[(slot + slots - 1) % slots] as Set<Beating>
      own.add(member)
      members += 1
      timer ??= setInterval(tick, periodMs / slots)
    },
    leave(member) {
      // A member does not remember its slot: idle connections are many, and looking into each slot takes a microsecond.
      if (!wheel.some((own) => own.delete(member))) return
      members -= 1
      if (members === 0) stop()
    },
    close: stop,
  }

  function stop(): void {
    clearInterval(timer)
    timer = undefined
  }

  function tick(): void {
    const due = wheel[slot] as Set<Beating>
    slot = (slot + 1) % slots
    if (due.size === 0) return
    const beat = (member: Beating) => member.beat(Math.round(performance.now()))
    scheduler.add(inSlices(scheduler, due, beat))
  }
}
