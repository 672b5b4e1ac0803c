import { describe, expect, it } from 'vitest'
import { createScheduler, type Task } from './scheduler.ts'

/** An event loop of the test's own: turns come when it says so. */
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

describe('turns of the event loop', () => {
  it('gives every task its steps in rounds, so that none waits for another to finish', () => {
    const { scheduler, log, tick, task, pending } = loop()
    scheduler.add(task('a', ['more', 'more', 'done']))
    scheduler.add(task('b', ['more', 'done']))
    tick()
    expect(log.join('')).toBe('ababa')
    expect(pending()).toBe(0)
  })

  it('ends a slice in time and goes on in the next turn where it stopped', () => {
    const { scheduler, log, tick, task, pending } = loop(3)
    scheduler.add(task('a', ['more', 'more', 'more', 'done']))
    scheduler.add(task('b', ['more', 'done']))
    tick()
    expect(log.join('')).toBe('aba')
    expect(pending()).toBe(1)
    tick()
    expect(log.join('')).toBe('ababaa')
  })

  it('calls a task that is done for this turn only in the next one', () => {
    const { scheduler, log, tick, task } = loop()
    scheduler.add(task('a', ['later', 'done']))
    tick()
    expect(log).toEqual(['a'])
    tick()
    expect(log).toEqual(['a', 'a'])
  })

  it('takes a task that is added twice once, and one added while working in the next turn', () => {
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

  // What happened: nothing was delivered to anybody any more.
  it('tells of a step that throws, and goes on with the others and with later turns', () => {
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
