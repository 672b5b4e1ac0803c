/** A Web Lock for which this tab waits until it leaves: it passes on when the tab that holds it closes, crashes, or loses it. */

/** What is used of a LockManager. */
export interface Locks {
  request(
    name: string,
    options: { readonly signal?: AbortSignal; readonly steal?: boolean },
    onGranted: () => Promise<void>,
  ): Promise<unknown>
}

export interface TabLockOptions {
  readonly name: string
  readonly locks: Locks
  readonly onHeld: () => void
  /** Given up for another, or taken away: this tab waits again. */
  readonly onLost: () => void
  /** The host refuses the lock, as in a sandboxed frame. Nobody waits any more: to ask again would be refused again, for ever. */
  readonly onRefused: () => void
}

export interface TabLock {
  /** Waits for the lock; with `steal` takes it. */
  queue(steal: boolean): void
  /** Gives it to the next one that waits. */
  release(): void
  /** The same, and waits no more. */
  leave(): void
}

export function createTabLock({ name, locks, onHeld, onLost, onRefused }: TabLockOptions): TabLock {
  /** Ends the wait. */
  let waiting: AbortController | undefined
  let releaseHeld: (() => void) | undefined

  return {
    queue,
    release: () => releaseHeld?.(),
    leave() {
      waiting?.abort()
      waiting = undefined
      releaseHeld?.()
    },
  }

  function queue(steal: boolean): void {
    waiting?.abort()
    const own = new AbortController()
    let wasHeld = false
    const onGranted = () => {
      wasHeld = true
      return hold()
    }
    waiting = own
    const onWaitEnded = () => {
      if (waiting !== own) return
      if (!wasHeld) return onRefused()
      onLost()
      queue(false)
    }
    // A lock that is stolen cannot be waited for at the same time.
    locks.request(name, steal ? { steal } : { signal: own.signal }, onGranted).then(onWaitEnded, onWaitEnded)
  }

  function hold(): Promise<void> {
    return new Promise((resolve) => {
      // This tab has left meanwhile.
      if (waiting === undefined) return resolve()
      releaseHeld = resolve
      onHeld()
    })
  }
}
