/**
 * The ids of a run's calls. Models give them: some count from 0 in each answer, and two lanes know nothing of each other. A
 * decision or a result names a call by its id alone, so that it must be one call of the run and of those that it continues.
 */
import { MillraceError } from '@millrace/protocol'

export interface CallIds {
  /** Of a call that the model begins, by the model's id. */
  begin(id: string): string
  /** Of a whole call: that which has begun, or a new one. */
  complete(id: string): { readonly call: string; readonly isNew: boolean }
  /** Undefined where no call has begun with the model's id. */
  find(id: string): string | undefined
}

/** One call is one event or more, and is kept until its run ends. */
const callsMax = 1000

/** Of one lane. `used` is shared by the lanes of the run. */
export function createCallIds(used: Set<string>): CallIds {
  const calls = new Map<string, { readonly call: string; isWhole: boolean }>()

  return {
    begin: (id) => add(id).call,
    complete(id) {
      const begun = calls.get(id)
      const isNew = begun === undefined || begun.isWhole
      const entry = isNew ? add(id) : begun
      entry.isWhole = true
      return { call: entry.call, isNew }
    },
    find: (id) => calls.get(id)?.call,
  }

  function add(id: string) {
    if (used.size >= callsMax)
      throw new MillraceError('model_failed', { message: `The model called more than ${callsMax} tools.` })
    let call = id
    for (let count = 2; used.has(call); count++) call = `${id.slice(0, 120)}#${count}`
    used.add(call)
    const entry = { call, isWhole: false }
    calls.set(id, entry)
    return entry
  }
}
