/** Whether there is room for two columns. */
import { useSyncExternalStore } from 'react'

/** Asked for each frame of an answer: looking it up again takes longer than all that depends on it. */
const media = window.matchMedia('(min-width: 768px)')

export function useWide(): boolean {
  return useSyncExternalStore(subscribe, () => media.matches)
}

function subscribe(listener: () => void): () => void {
  media.addEventListener('change', listener)
  return () => media.removeEventListener('change', listener)
}
