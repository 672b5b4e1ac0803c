/**
 * Shares one call among everyone who asks for the same key at the same time. A caller that arrives while the call is
 * running waits for the next one, so that its result includes everything that existed when the caller asked.
 */
export function coalesce<T>(act: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const calls = new Map<string, { readonly now: Promise<T>; next?: Promise<T> }>()
  return run

  function run(key: string): Promise<T> {
    const call = calls.get(key)
    if (call === undefined) {
      const now = act(key).finally(() => calls.delete(key))
      calls.set(key, { now })
      return now
    }
    call.next ??= call.now.then(
      () => run(key),
      () => run(key),
    )
    return call.next
  }
}
