/** Name, state of the connection, and the few switches of the page. */
import type { ReactNode } from 'react'
import { currentToken, signIn } from '../connection/token.ts'
import { useLanguage } from '../i18n/language.tsx'
import { themes, useTheme } from '../settings/theme.ts'
import { Button } from './button.tsx'
import styles from './header.module.css'
import { HistoryIcon, MoonIcon, NewIcon, SignOutIcon, SunIcon, SystemIcon } from './icons.tsx'
import { Logo } from './logo.tsx'

const themeIcons = { system: SystemIcon, light: SunIcon, dark: MoonIcon }

export interface HeaderProps {
  readonly connection: ReactNode
  readonly isHistoryOpen: boolean
  readonly onHistory: () => void
  readonly onNew: () => void
}

export function Header({ connection, isHistoryOpen, onHistory, onNew }: HeaderProps) {
  const { t } = useLanguage()
  return (
    <header className={styles.header}>
      <a href="#composer" className={styles.skip}>
        {t.skipToComposer}
      </a>
      <Button
        look="icon"
        className={styles.first}
        aria-expanded={isHistoryOpen}
        aria-label={t.history.label}
        title={isHistoryOpen ? t.history.close : t.history.show}
        data-testid="history-toggle"
        onClick={onHistory}
      >
        <HistoryIcon size={18} />
      </Button>
      <div className={styles.brand}>
        <Logo />
        <h1 className={styles.name}>Millrace</h1>
      </div>
      <div className={styles.controls}>
        {connection}
        <Switches />
        <Button look="text" onClick={onNew} data-testid="new-session" aria-label={t.newSession} title={t.newSession}>
          <NewIcon size={18} />
          <span className={styles.label}>{t.newSession}</span>
        </Button>
      </div>
    </header>
  )
}

/** Theme, language, and the way out for who came in with a token. */
export function Switches() {
  const { t, toggle } = useLanguage()
  const [theme, setTheme] = useTheme()
  const ThemeIcon = themeIcons[theme]
  const nextTheme = themes[(themes.indexOf(theme) + 1) % themes.length] ?? 'system'
  return (
    <>
      <Button
        look="icon"
        onClick={() => setTheme(nextTheme)}
        aria-label={t.theme[theme]}
        title={t.theme[theme]}
        data-testid="theme"
      >
        <ThemeIcon size={18} />
      </Button>
      <Button look="text" onClick={toggle} title={t.switchLanguage} lang={t.otherTag} data-testid="language">
        {t.otherLanguage}
      </Button>
      {currentToken() !== undefined && (
        <Button
          look="icon"
          onClick={() => signIn(undefined)}
          aria-label={t.signIn.signOut}
          title={t.signIn.signOut}
          data-testid="sign-out"
        >
          <SignOutIcon size={18} />
        </Button>
      )}
    </>
  )
}
