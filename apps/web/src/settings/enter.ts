/** Which key sends a question: Enter, or only together with Ctrl or ⌘, so that Enter alone makes a line. */
import { useState } from 'react'
import { keepSetting, readSetting } from './storage.ts'

export const modifierName = /Mac|iPhone|iPad/.test(navigator.platform) ? '⌘' : 'Ctrl'

const isChosen = () => readSetting('enter') === 'line'

/** Also on every touch keyboard, which has no Shift+Enter: there the button sends. */
export function isEnterLine(): boolean {
  return window.matchMedia('(pointer: coarse)').matches || isChosen()
}

export function useEnterLine(): [boolean, (isLine: boolean) => void] {
  const [isLine, setLine] = useState(isChosen)
  return [
    isLine,
    (next) => {
      keepSetting('enter', next ? 'line' : undefined)
      setLine(next)
    },
  ]
}
