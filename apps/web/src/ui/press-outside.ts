/** Closes what has popped up when somebody presses elsewhere. */
import { type RefObject, useEffect } from 'react'

export function usePressOutside(panel: RefObject<HTMLElement | null>, onPress: () => void): void {
  useEffect(() => {
    const listen = (event: PointerEvent) => {
      if (event.target instanceof Node && panel.current?.contains(event.target) !== true) onPress()
    }
    document.addEventListener('pointerdown', listen)
    return () => document.removeEventListener('pointerdown', listen)
  }, [panel, onPress])
}
