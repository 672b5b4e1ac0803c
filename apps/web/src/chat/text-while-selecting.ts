/**
 * Replacing a text that is being selected would take the selection away. While the reader selects
 * inside an answer, it stands still; what arrived meanwhile appears when the selection ends.
 */
import { type RefObject, useEffect, useRef, useState } from 'react'

/** @param isGrowing Only then, and while a text is held, is there anything to listen for. */
export function useHeldText(text: string, element: RefObject<HTMLElement | null>, isGrowing: boolean): string {
  const [held, setHeld] = useState<string>()
  const latest = useRef(text)
  useEffect(() => {
    latest.current = text
  }, [text])
  const isWatching = isGrowing || held !== undefined
  useEffect(() => {
    if (!isWatching) return
    const onSelection = () => {
      const isInside = element.current !== null && isSelectingIn(element.current)
      setHeld((before) => (isInside ? (before ?? latest.current) : undefined))
    }
    // What was selected before it began to grow, as by going on with an answer.
    onSelection()
    document.addEventListener('selectionchange', onSelection)
    return () => document.removeEventListener('selectionchange', onSelection)
  }, [element, isWatching])
  return held !== undefined && text.startsWith(held) ? held : text
}

function isSelectingIn(element: Element): boolean {
  const selection = document.getSelection()
  return selection !== null && !selection.isCollapsed && selection.containsNode(element, true)
}
