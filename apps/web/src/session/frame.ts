/**
 * Turns any number of changes into one call per painted frame. A hidden page paints no frames at
 * all, so there the call comes at once: otherwise an answer would stand still in a background tab.
 */
export interface FramePorts {
  readonly isHidden: () => boolean
  readonly requestFrame: (run: () => void) => number
  readonly cancelFrame: (handle: number) => void
}

export interface FrameScheduler {
  /** Something changed; `flush` will be called soon, and once for all that changes until then. */
  readonly mark: () => void
  /** Calls `flush` now, whether or not something was marked. */
  readonly flushNow: () => void
}

export function createFrameScheduler(flush: () => void, ports: FramePorts): FrameScheduler {
  let handle: number | undefined

  function flushNow(): void {
    if (handle !== undefined) ports.cancelFrame(handle)
    handle = undefined
    flush()
  }

  return {
    mark() {
      if (ports.isHidden()) flushNow()
      else handle ??= ports.requestFrame(flushNow)
    },
    flushNow,
  }
}
