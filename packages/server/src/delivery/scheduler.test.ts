import { describe, expect, it } from 'vitest'
import { createScheduler, type Task } from './scheduler.ts'

/** A fake event loop, whose turns the test runs. */
function loop(budgetMs = 10) {
  let time = 0
  const deferred: (() => void)[] = []
  const errors: unknown[] = []
  const scheduler = createScheduler({
    budgetMs,
    now: () => time,
    defer: (tick) => deferred.push(tick),
    onError: (error) => errors.push(error),
  })
  const log: string[] = []
  return {
    scheduler,
    log,
    errors,
    pending: () => deferred.length,
    tick: () => deferred.shift()?.(),
    task(name: string, states: ('more' | 'later' | 'done')[], cost = 1): Task {
      return {
        step() {
          log.push(name)
          time += cost
          return states.shift() ?? 'done'
        },
      }
    },
  }
}

describe('the scheduler', () => {
  it('runs the steps of all tasks in rounds, so that no task waits for another to finish', () => {
    const { scheduler, log, tick, task, pending } = loop()
    scheduler.add(task('a', ['more', 'more', 'done']))
    scheduler.add(task('b', ['more', 'done']))
    tick()
    expect(log.join('')).toBe('ababa')
    expect(pending()).toBe(0)
  })

  it('ends a tick in time and continues in the next one where it stopped', () => {
    const { scheduler, log, tick, task, pending } = loop(3)
    scheduler.add(task('a', ['more', 'more', 'more', 'done']))
    scheduler.add(task('b', ['more', 'done']))
    tick()
    expect(log.join('')).toBe('aba')
    expect(pending()).toBe(1)
    tick()
    expect(log.join('')).toBe('ababaa')
  })

  it('runs a task that is done for this tick only in the next one', () => {
    const { scheduler, log, tick, task } = loop()
    scheduler.add(task('a', ['later', 'done']))
    tick()
    expect(log).toEqual(['a'])
    tick()
    expect(log).toEqual(['a', 'a'])
  })

  it('runs a task that is added twice once, and one that is added during a tick in the next one', () => {
    const { scheduler, log, tick, task, pending } = loop()
    const a = task('a', [])
    scheduler.add(a)
    scheduler.add(a)
    const b: Task = {
      step() {
        scheduler.add(a)
        return 'done'
      },
    }
    scheduler.add(b)
    expect(pending()).toBe(1)
    tick()
    expect(log).toEqual(['a'])
    tick()
    expect(log).toEqual(['a', 'a'])
    expect(pending()).toBe(0)
  })

  // Nothing was delivered to any reader any more.
  it('reports a step that throws, and continues with the other tasks and later ticks', () => {
    const { scheduler, log, tick, task, pending, errors } = loop()
    const failure = new Error('broken')
    scheduler.add({
      step() {
        throw failure
      },
    })
    scheduler.add(task('a', ['later', 'done']))
    tick()
    tick()
    expect([log.join(''), errors, pending()]).toEqual(['aa', [failure], 0])
    scheduler.add(task('b', []))
    tick()
    expect(log.join('')).toBe('aab')
  })
})
