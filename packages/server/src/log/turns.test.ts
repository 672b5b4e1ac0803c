import { describe, expect, it } from 'vitest'
import { createTurns, type Task } from './turns.ts'

/** An event loop of the test's own: turns come when it says so. */
function loop(sliceMs = 10) {
  let time = 0
  const deferred: (() => void)[] = []
  const errors: unknown[] = []
  const turns = createTurns({
    sliceMs,
    now: () => time,
    defer: (turn) => deferred.push(turn),
    onError: (error) => errors.push(error),
  })
  const log: string[] = []
  return {
    turns,
    log,
    errors,
    pending: () => deferred.length,
    turn: () => deferred.shift()?.(),
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
    const { turns, log, turn, task, pending } = loop()
    turns.add(task('a', ['more', 'more', 'done']))
    turns.add(task('b', ['more', 'done']))
    turn()
    expect(log.join('')).toBe('ababa')
    expect(pending()).toBe(0)
  })

  it('ends a slice in time and goes on in the next turn where it stopped', () => {
    const { turns, log, turn, task, pending } = loop(3)
    turns.add(task('a', ['more', 'more', 'more', 'done']))
    turns.add(task('b', ['more', 'done']))
    turn()
    expect(log.join('')).toBe('aba')
    expect(pending()).toBe(1)
    turn()
    expect(log.join('')).toBe('ababaa')
  })

  it('calls a task that is done for this turn only in the next one', () => {
    const { turns, log, turn, task } = loop()
    turns.add(task('a', ['later', 'done']))
    turn()
    expect(log).toEqual(['a'])
    turn()
    expect(log).toEqual(['a', 'a'])
  })

  it('takes a task that is added twice once, and one added while working in the next turn', () => {
    const { turns, log, turn, task, pending } = loop()
    const a = task('a', [])
    turns.add(a)
    turns.add(a)
    const b: Task = {
      step() {
        turns.add(a)
        return 'done'
      },
    }
    turns.add(b)
    expect(pending()).toBe(1)
    turn()
    expect(log).toEqual(['a'])
    turn()
    expect(log).toEqual(['a', 'a'])
    expect(pending()).toBe(0)
  })

  // What happened: nothing was delivered to anybody any more.
  it('tells of a step that throws, and goes on with the others and with later turns', () => {
    const { turns, log, turn, task, pending, errors } = loop()
    const failure = new Error('broken')
    turns.add({
      step() {
        throw failure
      },
    })
    turns.add(task('a', ['later', 'done']))
    turn()
    turn()
    expect([log.join(''), errors, pending()]).toEqual(['aa', [failure], 0])
    turns.add(task('b', []))
    turn()
    expect(log.join('')).toBe('aab')
  })
})
