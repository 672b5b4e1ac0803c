/**
 * Who leads: the tab that holds a Web Lock. The lock passes on when its tab closes or crashes. A tab that
 * holds it and does not answer (frozen, or stuck) loses it to one that asks. Two that lead at once, for as
 * long as a frozen one has not noticed, do no harm: tabs listen only to the one whose term is the later, and the
 * other gives way. Without terms what each had said before would depose the other, for ever.
 */
import { createTabLock, type Locks } from './lock.ts'
import type { ToAll } from './messages.ts'

export interface LeadershipOptions {
  readonly name: string
  /** This tab. */
  readonly tab: string
  readonly locks: Locks
  /** How long a leader may take to answer. */
  readonly answerMs: number
  readonly post: (message: ToAll) => void
  /** Another tab leads now, or this one, or for a while nobody. */
  readonly onChange: () => void
}

export interface Leadership {
  /** The tab that leads; undefined while nobody is known to. */
  readonly leader: string | undefined
  /** `who` or `leading` of another tab. */
  receive(message: ToAll): void
  /** Lets another tab lead, and does not ask to again before `join`. */
  resign(): void
  join(): void
}

export function createLeadership({ name, tab, locks, answerMs, post, onChange }: LeadershipOptions): Leadership {
  let leader: string | undefined
  /** The latest that is known of: each tab that begins to lead begins one. */
  let term = 0
  let timer: ReturnType<typeof setInterval> | undefined
  let isUnanswered = false
  /** The leader has announced itself since this tab last thought of asking: others ask, too. */
  let isAnnounced = false
  /** The host refuses the lock, as in a sandboxed frame: this tab carries itself, and nobody else. */
  let isAlone = false
  const lock = createTabLock({
    name,
    locks,
    onHeld() {
      term += 1
      follow(tab)
      announce()
    },
    onLost() {
      if (leader === tab) follow(undefined)
    },
    onRefused() {
      isAlone = true
      follow(tab)
    },
  })

  return {
    get leader() {
      return leader
    },
    receive(message) {
      if (isAlone) return
      if (message.type === 'who') {
        if (leader !== tab) return
        // The asking tab has seen a term that this tab slept through.
        if (message.term > term) term = message.term + 1
        return announce()
      }
      if (message.term < term || (message.term === term && message.leader < (leader ?? ''))) {
        // Said before it knew better, or it does not know yet.
        return leader === tab ? announce() : ask()
      }
      term = message.term
      isUnanswered = false
      isAnnounced = true
      if (leader === message.leader) return
      // Somebody has taken the lock from a tab that slept.
      const wasLeading = leader === tab
      follow(message.leader)
      if (wasLeading) lock.release()
    },
    resign: leave,
    join() {
      if (timer !== undefined) return
      // Throttled in a hidden tab, which only makes it slower to doubt.
      timer = setInterval(doubt, answerMs)
      ;(timer as { unref?: () => void }).unref?.()
      lock.queue(false)
      ask()
    },
  }

  function doubt(): void {
    if (leader === tab) return
    // One answer reaches all: of many tabs, one asks at a time.
    const wasAnnounced = isAnnounced
    isAnnounced = false
    if (wasAnnounced) return
    if (isUnanswered) lock.queue(true)
    isUnanswered = !isUnanswered
    ask()
  }

  function ask(): void {
    post({ type: 'who', term })
  }

  function announce(): void {
    post({ type: 'leading', leader: tab, term })
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
    isAlone = false
    lock.leave()
    follow(undefined)
  }
}
