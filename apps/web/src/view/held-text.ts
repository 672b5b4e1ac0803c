/**
 * Replacing a text that is being selected would take the selection away. While the reader selects
 * inside an answer, it stands still; what arrived meanwhile appears when the selection is let go.
 */
import { type RefObject, useEffect, useRef, useState } from 'react'

export function useHeldText(text: string, element: RefObject<HTMLElement | null>): string {
  const [held, setHeld] = useState<string>()
  const latest = useRef(text)
  useEffect(() => {
    latest.current = text
  }, [text])
  useEffect(() => {
    const onSelection = () => {
      const isInside = element.current !== null && isSelectingIn(element.current)
      setHeld((before) => (isInside ? (before ?? latest.current) : undefined))
    }
    document.addEventListener('selectionchange', onSelection)
    return () => document.removeEventListener('selectionchange', onSelection)
  }, [element])
  return held !== undefined && text.startsWith(held) ? held : text
}

function isSelectingIn(element: Element): boolean {
  const selection = document.getSelection()
  return selection !== null && !selection.isCollapsed && selection.containsNode(element, true)
}
