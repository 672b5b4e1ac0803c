/**
 * A value that a loop keeps up to date while somebody looks: the first subscriber begins the loop, the
 * last one that leaves ends it. Knows no framework, and neither sessions nor channels.
 *
 * What subscribers see changes at most once per painted frame, whatever happens in between, and
 * at once where the loop says so.
 */
import { notifyAll } from '../status.ts'

export interface Store<T> {
  /** What it was before anything was read: what a server renders. */
  readonly initial: T
  /** The same object until something has changed. */
  readonly current: T
  /** Calls the listener at every change, not at once. Returns what ends it. */
  readonly subscribe: (listener: () => void) => () => void
}

export interface LiveStore<T> extends Store<T> {
  /** Subscribers are to see a new view: with the next frame, or now. */
  changed(when: 'frame' | 'now'): void
  /** Ends the loop and begins another if there are subscribers. */
  restart(): void
}

/** About a frame, where none is painted. */
const frameMs = 16
/** A page that is hidden after it asked for a frame gets none; nobody sees how late this is. */
const hiddenMs = 1000

/** `view` makes what subscribers see; `loop` MUST NOT reject, and MUST end when its signal is aborted. */
export function createLiveStore<T>(view: () => T, loop: (signal: AbortSignal) => Promise<void>): LiveStore<T> {
  const initial = view()
  const listeners = new Set<() => void>()
  let current = initial
  let abort: AbortController | undefined
  let cancel: (() => void) | undefined

  return {
    initial,
    get current() {
      return current
    },
    subscribe(listener) {
      // Of its own: the same function twice is two subscribers.
      const own = () => listener()
      listeners.add(own)
      if (abort === undefined) begin()
      return () => {
        listeners.delete(own)
        // Not at once: StrictMode and a change of views leave and come back in one go, and need no other loop.
        queueMicrotask(() => listeners.size === 0 && end())
      }
    },
    changed(when) {
      if (when === 'now') flush()
      else cancel ??= onFrame(flush)
    },
    restart() {
      end()
      if (listeners.size > 0) begin()
    },
  }

  function begin(): void {
    abort = new AbortController()
    void loop(abort.signal)
  }

  function end(): void {
    abort?.abort()
    abort = undefined
    // No timer is left behind.
    if (cancel !== undefined) flush()
  }

  function flush(): void {
    cancel?.()
    cancel = undefined
    current = view()
    notifyAll(listeners, undefined)
  }
}

interface FrameHost {
  requestAnimationFrame?(run: () => void): number
  cancelAnimationFrame?(handle: number): void
  readonly document?: { readonly hidden: boolean }
}

/** Calls back once, with the next frame; returns what prevents it. */
function onFrame(run: () => void): () => void {
  const host = globalThis as FrameHost
  const isPainting = host.requestAnimationFrame !== undefined && host.document?.hidden !== true
  const handle = isPainting ? host.requestAnimationFrame?.(run) : undefined
  const timer = setTimeout(run, isPainting ? hiddenMs : frameMs)
  return () => {
    clearTimeout(timer)
    if (handle !== undefined) host.cancelAnimationFrame?.(handle)
  }
}
