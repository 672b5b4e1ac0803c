/**
 * Replacing a text that is being selected would take the selection away. While the reader selects
 * inside an answer, its text does not change; what arrived meanwhile appears when the selection ends.
 */
import { type RefObject, useEffect, useRef, useState } from 'react'

/**
 * The text to show, and whether to show it as one that grows: an end that came while the reader selects changes nothing yet.
 * @param isGrowing Only then, and while the reader selects, is there anything to listen for.
 */
export function useTextWhileSelecting(
  text: string,
  element: RefObject<HTMLElement | null>,
  isGrowing: boolean,
): readonly [text: string, isGrowing: boolean] {
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
  return [held !== undefined && text.startsWith(held) ? held : text, isWatching]
}

function isSelectingIn(element: Element): boolean {
  const selection = document.getSelection()
  return selection !== null && !selection.isCollapsed && selection.containsNode(element, true)
}
