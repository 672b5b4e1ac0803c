/** Light, dark, or as the system says. The stylesheet does the rest by `color-scheme`. */
import { useState } from 'react'
import { keepSetting, readSetting } from './storage.ts'

export const themes = ['system', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

export function readTheme(): Theme {
  const kept = readSetting('theme')
  return themes.find((theme) => theme === kept) ?? 'system'
}

export function showTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(readTheme)
  return [
    theme,
    (next) => {
      keepSetting('theme', next === 'system' ? undefined : next)
      showTheme(next)
      setTheme(next)
    },
  ]
}
