/** For a field in which Enter or Escape mean something: which of them belong to an input method. */
import { type KeyboardEvent, useRef } from 'react'
import { isOfInputMethod } from './enter.ts'

export interface Composition {
  readonly onCompositionEnd: () => void
  readonly msSinceEnd: () => number
  readonly owns: (event: KeyboardEvent) => boolean
}

export function useComposition(): Composition {
  const endedAt = useRef(Number.NEGATIVE_INFINITY)
  const msSinceEnd = () => Date.now() - endedAt.current
  return {
    onCompositionEnd() {
      endedAt.current = Date.now()
    },
    msSinceEnd,
    owns: ({ nativeEvent }) => isOfInputMethod(nativeEvent, msSinceEnd()),
  }
}
