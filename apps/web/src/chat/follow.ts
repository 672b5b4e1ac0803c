/**
 * Scroll following that yields to the reader: one owner of the scroll position. While pinned, the
 * end of the conversation stays in view as it grows. The reader unpins by scrolling up (wheel,
 * touch, keys or scrollbar), by selecting text or by moving the focus into an older answer, never
 * because content grew. Only the reader pins again: by reaching the end, by the button, or by asking.
 */
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'

/** This close to the end counts as being there. */
const nearEndPx = 60
/** Less movement than this is a trembling finger or a rounding. */
const intentPx = 3

export interface Follow {
  readonly scroller: RefObject<HTMLDivElement | null>
  readonly content: RefObject<HTMLDivElement | null>
  readonly isPinned: boolean
  /** Something arrived below while the reader was elsewhere. */
  readonly hasNew: boolean
  readonly pin: () => void
}

/**
 * @param revision Changes with what there is to see.
 * @param wish Changes when the reader has done something whose outcome is at the end.
 */
export function useFollow(revision: unknown, wish: unknown): Follow {
  const scroller = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const pinned = useRef(true)
  const painted = useRef(revision)
  const wished = useRef(wish)
  const last = useRef({ top: 0, height: 0, room: 0 })
  const [isPinned, setPinned] = useState(true)
  const [hasNew, setNew] = useState(false)

  const setPin = useCallback((next: boolean) => {
    pinned.current = next
    setPinned(next)
    if (next) setNew(false)
  }, [])

  const toEnd = useCallback(() => {
    const element = scroller.current
    // A page without questions is read from its top.
    if (element === null || !pinned.current || content.current?.dataset.empty !== undefined) return
    element.scrollTop = element.scrollHeight
    last.current = { top: element.scrollTop, height: element.scrollHeight, room: element.clientHeight }
  }, [])

  const pin = useCallback(() => {
    setPin(true)
    toEnd()
  }, [setPin, toEnd])

  useEffect(() => {
    const element = scroller.current
    if (element === null) return
    const listening = new AbortController()
    const options = { passive: true, signal: listening.signal }

    const onScroll = () => {
      const { scrollTop, scrollHeight, clientHeight } = element
      const moved = scrollTop - last.current.top
      // Content that shrinks (reasoning that folds) and a window that grows (a keyboard that hides)
      // pull the position up without the reader's doing.
      const isForced = scrollHeight < last.current.height || clientHeight > last.current.room
      const isNearEnd = scrollHeight - clientHeight - scrollTop <= nearEndPx
      last.current = { top: scrollTop, height: scrollHeight, room: clientHeight }
      if (moved <= -intentPx && !isForced) setPin(false)
      else if (moved > 0 && isNearEnd && !isSelecting(element)) setPin(true)
    }
    const onWheel = (event: WheelEvent) => {
      // At once, not when the scroll event comes: a delta painted in between would pull back down.
      if (event.deltaY <= -intentPx && element.scrollTop > 0) setPin(false)
    }
    const onSelection = () => {
      if (isSelecting(element)) setPin(false)
    }
    const onFocus = (event: FocusEvent) => {
      const turn = event.target instanceof Element ? event.target.closest('article') : null
      if (turn !== null && turn.nextElementSibling !== null) setPin(false)
    }
    let touchY = 0
    element.addEventListener('scroll', onScroll, options)
    element.addEventListener('wheel', onWheel, options)
    element.addEventListener('focusin', onFocus, options)
    element.addEventListener('touchstart', (event) => (touchY = event.touches[0]?.clientY ?? 0), options)
    element.addEventListener(
      'touchmove',
      (event) => {
        if ((event.touches[0]?.clientY ?? 0) - touchY >= intentPx && element.scrollTop > 0) setPin(false)
      },
      options,
    )
    document.addEventListener('selectionchange', onSelection, options)
    const sizes = new ResizeObserver(toEnd)
    sizes.observe(element)
    if (content.current !== null) sizes.observe(content.current)
    return () => {
      listening.abort()
      sizes.disconnect()
    }
  }, [setPin, toEnd])

  useLayoutEffect(() => {
    if (wished.current !== wish) setPin(true)
    else if (painted.current === revision) return
    const isWished = wished.current !== wish
    wished.current = wish
    painted.current = revision
    if (!pinned.current) setNew(true)
    // What has only grown is followed when its size is observed: asking for it here would lay out the page once more.
    else if (isWished) toEnd()
  }, [revision, wish, setPin, toEnd])

  return { scroller, content, isPinned, hasNew, pin }
}

function isSelecting(element: Element): boolean {
  const selection = document.getSelection()
  return selection !== null && !selection.isCollapsed && element.contains(selection.anchorNode)
}
