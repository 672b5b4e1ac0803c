/**
 * Shares the event loop among all that have something to write. Work is done in slices: between two
 * of them the loop accepts connections, reads requests and runs timers, so that one log with many
 * readers cannot starve the rest.
 *
 * Slices are short because Node accepts one connection in a turn of its loop. With 1,000 readers at
 * 1,000 ev/s, and 600 connections a second knocking: 4 ms let in 220 of them a second, 0.5 ms all of
 * them, at the same million deliveries.
 */
export interface Task {
  /**
   * Does a little (some tenths of a millisecond) and says how it stands:
   * `more` to go on in this turn after the others, `later` to be called in the next turn, `done` to rest.
   */
  step(): 'more' | 'later' | 'done'
}

export interface Scheduler {
  /**
   * The task is called in the next turn; adding it again before then changes nothing. One whose step throws is dropped,
   * unless it has added itself again; the others go on.
   */
  add(task: Task): void
}

export interface SchedulerOptions {
  /** Length of a slice in milliseconds; default 0.5. */
  readonly budgetMs?: number
  /** Milliseconds that never go back; default `performance.now`. */
  readonly now?: () => number
  /** Runs a function in the next turn of the event loop; default `setImmediate`. */
  readonly defer?: (tick: () => void) => void
  /** Told what a step has thrown; by default it is thrown as an uncaught exception. */
  readonly onError?: (error: unknown) => void
}

export function createScheduler(options: SchedulerOptions = {}): Scheduler {
  const budgetMs = options.budgetMs ?? 0.5
  const now = options.now ?? (() => performance.now())
  const defer = options.defer ?? setImmediate
  const onError = options.onError ?? throwUncaught
  let waiting = new Set<Task>()
  let scheduled = false

  return { add }

  function add(task: Task): void {
    waiting.add(task)
    if (scheduled) return
    scheduled = true
    defer(tick)
  }

  function tick(): void {
    const tasks = waiting
    waiting = new Set()
    const end = now() + budgetMs
    // A Set goes through its members in the order they came in, also those added on the way:
    // taking a task out and adding it again puts it behind the others.
    for (const task of tasks) {
      tasks.delete(task)
      const state = stepOf(task)
      if (state === 'more') tasks.add(task)
      else if (state === 'later') waiting.add(task)
      if (now() >= end) break
    }
    // What the slice had no time for comes before what was added meanwhile.
    if (tasks.size > 0) waiting = tasks.union(waiting)
    scheduled = waiting.size > 0
    if (scheduled) defer(tick)
  }

  /** One task that fails must not end the delivery to everybody else. */
  function stepOf(task: Task): ReturnType<Task['step']> {
    try {
      return task.step()
    } catch (error) {
      onError(error)
      return 'done'
    }
  }
}

function throwUncaught(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
