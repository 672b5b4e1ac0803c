/** Calls about one stream, one after another in this process: appends that wait need not be rejected by the engine first. */
export function createQueues(): <T>(key: string, act: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>()
  return (key, act) => {
    const next = (last.get(key) ?? Promise.resolve()).then(act, act)
    last.set(key, next)
    const leave = () => {
      if (last.get(key) === next) last.delete(key)
    }
    next.then(leave, leave)
    return next
  }
}
