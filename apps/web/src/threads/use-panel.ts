/** Whether the panel is open: beside the conversation until it is closed, on a phone for one choice. */
import { useState } from 'react'
import { keepSetting, readSetting } from '../settings/storage.ts'
import { useWide } from '../settings/wide.ts'

export interface Panel {
  readonly isOpen: boolean
  readonly isWide: boolean
  readonly toggle: () => void
  /** Something was chosen in it. */
  readonly leave: () => void
}

export function usePanel(): Panel {
  const isWide = useWide()
  const [isDocked, setDocked] = useState(() => readSetting('history') === 'open')
  const [isOver, setOver] = useState(false)
  return {
    isOpen: isWide ? isDocked : isOver,
    isWide,
    toggle() {
      if (!isWide) return setOver(!isOver)
      keepSetting('history', isDocked ? undefined : 'open')
      setDocked(!isDocked)
    },
    leave: () => setOver(false),
  }
}
