/**
 * Who leads: the tab that holds a Web Lock. The lock passes on when its tab closes or crashes. A tab that
 * holds it and does not answer (frozen, or stuck) loses it to one that asks. Two that lead at once, for as
 * long as a frozen one has not noticed, do no harm: tabs listen only to the one that spoke up last.
 */

/** What is used of a LockManager. */
export interface Locks {
  request(
    name: string,
    options: { readonly signal?: AbortSignal; readonly steal?: boolean },
    held: () => Promise<void>,
  ): Promise<unknown>
}

export interface LeadershipOptions {
  readonly name: string
  /** This tab. */
  readonly tab: string
  readonly locks: Locks
  /** How long a leader may take to answer. */
  readonly answerMs: number
  readonly say: (message: { readonly type: 'who' } | { readonly type: 'leading'; readonly leader: string }) => void
  /** Another tab leads now, or this one, or for a while nobody. */
  readonly onChange: () => void
}

export interface Leadership {
  /** The tab that leads; undefined while nobody is known to. */
  readonly leader: string | undefined
  /** `who` or `leading` of another tab. */
  hear(message: { readonly type: 'who' } | { readonly type: 'leading'; readonly leader: string }): void
  /** Lets another tab lead, and does not ask to again before `join`. */
  resign(): void
  join(): void
}

export function createLeadership({ name, tab, locks, answerMs, say, onChange }: LeadershipOptions): Leadership {
  let leader: string | undefined
  /** Ends the wait for the lock. */
  let waiting: AbortController | undefined
  let release: (() => void) | undefined
  let timer: ReturnType<typeof setInterval> | undefined
  let isUnanswered = false

  return {
    get leader() {
      return leader
    },
    hear(message) {
      if (message.type === 'who') {
        if (leader === tab) say({ type: 'leading', leader: tab })
        return
      }
      isUnanswered = false
      if (leader === message.leader) return
      // Somebody has taken the lock from a tab that slept.
      const wasLeading = leader === tab
      follow(message.leader)
      if (wasLeading) release?.()
    },
    resign: leave,
    join() {
      if (timer !== undefined) return
      // Throttled in a hidden tab, which only makes it slower to doubt.
      timer = setInterval(doubt, answerMs)
      ;(timer as { unref?: () => void }).unref?.()
      queue(false)
      say({ type: 'who' })
    },
  }

  function queue(steal: boolean): void {
    waiting?.abort()
    const own = new AbortController()
    waiting = own
    // A lock that is stolen cannot be waited for at the same time.
    const over = () => {
      // Given up for another, or taken away: this tab is in line again.
      if (waiting !== own) return
      if (leader === tab) follow(undefined)
      queue(false)
    }
    locks.request(name, steal ? { steal } : { signal: own.signal }, hold).then(over, over)
  }

  function hold(): Promise<void> {
    return new Promise((resolve) => {
      if (timer === undefined) return resolve()
      release = resolve
      follow(tab)
      say({ type: 'leading', leader: tab })
    })
  }

  function doubt(): void {
    if (leader === tab) return
    if (isUnanswered) queue(true)
    isUnanswered = !isUnanswered
    say({ type: 'who' })
  }

  function follow(next: string | undefined): void {
    if (leader === next) return
    leader = next
    isUnanswered = false
    onChange()
  }

  function leave(): void {
    clearInterval(timer)
    timer = undefined
    waiting?.abort()
    waiting = undefined
    release?.()
    follow(undefined)
  }
}
