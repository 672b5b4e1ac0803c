import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLiveStore } from './live-store.ts'

/** A page with frames that the test paints. */
class Page {
  readonly document = { hidden: false }
  #frames = new Map<number, () => void>()
  #count = 0
  requestAnimationFrame = (run: () => void) => {
    this.#frames.set(++this.#count, run)
    return this.#count
  }
  cancelAnimationFrame = (handle: number) => this.#frames.delete(handle)
  paint() {
    const frames = [...this.#frames.values()]
    this.#frames.clear()
    for (const run of frames) run()
  }
}

function createCount() {
  let count = 0
  const loops: AbortSignal[] = []
  const store = createLiveStore(
    () => ({ count }),
    async (signal) => void loops.push(signal),
  )
  const add = (when: 'frame' | 'now' = 'frame') => {
    count++
    store.changed(when)
  }
  return { store, loops, add }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe('a view', () => {
  it('changes once per frame however often it was changed, and not without', () => {
    const page = new Page()
    for (const name of ['document', 'requestAnimationFrame', 'cancelAnimationFrame'] as const) vi.stubGlobal(name, page[name])
    const { store, add } = createCount()
    const seen: number[] = []
    store.subscribe(() => seen.push(store.current.count))
    const before = store.current
    for (let index = 0; index < 3; index++) add()
    expect(store.current).toBe(before)
    page.paint()
    page.paint()
    expect(seen).toEqual([3])
    add()
    page.paint()
    vi.runAllTimers()
    expect(seen).toEqual([3, 4])
  })

  it('changes at once where it must, and the frame that was asked for changes nothing more', () => {
    const page = new Page()
    for (const name of ['document', 'requestAnimationFrame', 'cancelAnimationFrame'] as const) vi.stubGlobal(name, page[name])
    const { store, add } = createCount()
    const seen: number[] = []
    store.subscribe(() => seen.push(store.current.count))
    add()
    add('now')
    page.paint()
    vi.runAllTimers()
    expect(seen).toEqual([2])
  })

  it('changes after 16 ms where no frames are painted, or none while the page is hidden', () => {
    const { store, add } = createCount()
    const seen: number[] = []
    store.subscribe(() => seen.push(store.current.count))
    add()
    vi.advanceTimersByTime(15)
    expect(seen).toEqual([])
    vi.advanceTimersByTime(1)
    expect(seen).toEqual([1])

    const page = new Page()
    for (const name of ['document', 'requestAnimationFrame', 'cancelAnimationFrame'] as const) vi.stubGlobal(name, page[name])
    page.document.hidden = true
    add()
    vi.advanceTimersByTime(16)
    expect(seen).toEqual([1, 2])
    // Hidden while it waits: the frame is not painted.
    page.document.hidden = false
    add()
    page.document.hidden = true
    vi.advanceTimersByTime(1000)
    expect(seen).toEqual([1, 2, 3])
  })
})

describe('a loop', () => {
  it('begins with the first subscriber and ends with the last, whose leaving may be taken back at once', async () => {
    const { store, loops } = createCount()
    expect(loops).toHaveLength(0)
    const leave = store.subscribe(() => {})
    const leaveToo = store.subscribe(() => {})
    leave()
    await Promise.resolve()
    leaveToo()
    const leaveLast = store.subscribe(() => {})
    await Promise.resolve()
    expect(loops.map(({ aborted }) => aborted)).toEqual([false])
    leaveLast()
    await Promise.resolve()
    store.subscribe(() => {})
    expect(loops.map(({ aborted }) => aborted)).toEqual([true, false])
  })

  it('counts a function that subscribes twice as two', async () => {
    const { store, loops, add } = createCount()
    let calls = 0
    const listener = () => void calls++
    const leave = store.subscribe(listener)
    store.subscribe(listener)
    add('now')
    leave()
    await Promise.resolve()
    add('now')
    expect({ calls, isEnded: loops[0]?.aborted }).toEqual({ calls: 3, isEnded: false })
  })

  it('leaves no timer behind, and what it told last is there', async () => {
    const { store, add } = createCount()
    const leave = store.subscribe(() => {})
    add()
    leave()
    await Promise.resolve()
    expect({ timers: vi.getTimerCount(), count: store.current.count, initial: store.initial.count }).toEqual({
      timers: 0,
      count: 1,
      initial: 0,
    })
  })
})
