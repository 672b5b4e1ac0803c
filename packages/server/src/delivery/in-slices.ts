/** Something to do for each of many members, without blocking the event loop. */
import type { Scheduler, Task } from './scheduler.ts'

const membersPerStep = 64

/** The others are still visited, in the next tick, when a visit throws. */
export function inSlices<Member>(scheduler: Scheduler, members: Iterable<Member>, visit: (member: Member) => void): Task {
  const rest = members[Symbol.iterator]()
  const task: Task = {
    step() {
      for (let visited = 0; visited < membersPerStep; visited++) {
        const { value: member, done } = rest.next()
        if (done) return 'done'
        try {
          visit(member)
        } catch (error) {
          scheduler.add(task)
          throw error
        }
      }
      return 'more'
    },
  }
  return task
}
