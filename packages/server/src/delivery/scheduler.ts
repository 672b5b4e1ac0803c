/**
 * Shares the event loop between everything that has something to write. Work is done in ticks: between two of them the
 * loop accepts connections, reads requests and runs timers, so that one log with many readers cannot starve the rest.
 *
 * Ticks are short because Node accepts one connection per turn of its loop. With 1,000 readers at 1,000 ev/s, and 600 new
 * connections a second: ticks of 4 ms accept 220 of them a second, ticks of 0.5 ms all of them, at the same million
 * deliveries.
 */
export interface Task {
  /**
   * Does a little work (some tenths of a millisecond) and returns what is left: `more` to be called again in this tick
   * after the others, `later` to be called in the next tick, `done` for nothing.
   */
  step(): 'more' | 'later' | 'done'
}

export interface Scheduler {
  /**
   * Calls the task in the next tick; adding it twice is the same as once. A task whose step throws is dropped, unless it
   * has added itself again; the others continue.
   */
  add(task: Task): void
}

export interface SchedulerOptions {
  /** Length of a tick in milliseconds; default 0.5. */
  readonly budgetMs?: number
  /** Monotonic milliseconds; default `performance.now`. */
  readonly now?: () => number
  /** Runs a function in the next turn of the event loop; default `setImmediate`. */
  readonly defer?: (tick: () => void) => void
  /** Called with what a step throws; by default it becomes an uncaught exception. */
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
    // A Set iterates in insertion order and includes members that are added meanwhile: deleting a task and adding it again
    // puts it behind the others.
    for (const task of tasks) {
      tasks.delete(task)
      const state = stepOf(task)
      if (state === 'more') tasks.add(task)
      else if (state === 'later') waiting.add(task)
      if (now() >= end) break
    }
    // What the tick had no time for comes before what was added meanwhile.
    if (tasks.size > 0) waiting = tasks.union(waiting)
    scheduled = waiting.size > 0
    if (scheduled) defer(tick)
  }

  /** One task that fails must not end the delivery to the others. */
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
