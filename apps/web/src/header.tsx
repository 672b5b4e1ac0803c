/** Name, state of the connection, and the few switches of the page. */
import type { ReactNode } from 'react'
import { useLanguage } from './i18n/language.tsx'
import { currentToken, signIn } from './session/sign-in.ts'
import { themes, useTheme } from './settings/theme.ts'
import { HistoryIcon, MoonIcon, NewIcon, SignOutIcon, SunIcon, SystemIcon } from './ui/icons.tsx'
import { Logo } from './ui/logo.tsx'

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
    <header className="header">
      <a href="#composer" className="skip-link">
        {t.skipToComposer}
      </a>
      <button
        type="button"
        className="icon-button -ml-2"
        aria-expanded={isHistoryOpen}
        aria-label={t.history.label}
        title={isHistoryOpen ? t.history.close : t.history.show}
        data-testid="history-toggle"
        onClick={onHistory}
      >
        <HistoryIcon size={18} />
      </button>
      <div className="brand flex items-center gap-2.5">
        <Logo />
        <h1 className="text-[15px] font-semibold tracking-tight max-sm:sr-only">Millrace</h1>
      </div>
      <div className="ml-auto flex min-w-0 items-center gap-0.5 sm:gap-2">
        {connection}
        <Switches />
        <button
          type="button"
          className="text-button"
          onClick={onNew}
          data-testid="new-session"
          aria-label={t.newSession}
          title={t.newSession}
        >
          <NewIcon size={18} />
          <span className="max-sm:hidden">{t.newSession}</span>
        </button>
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
      <button
        type="button"
        className="icon-button"
        onClick={() => setTheme(nextTheme)}
        aria-label={t.theme[theme]}
        title={t.theme[theme]}
        data-testid="theme"
      >
        <ThemeIcon size={18} />
      </button>
      <button type="button" className="text-button" onClick={toggle} aria-label={t.switchLanguage} data-testid="language">
        {t.otherLanguage}
      </button>
      {currentToken() !== undefined && (
        <button
          type="button"
          className="icon-button"
          onClick={() => signIn(undefined)}
          aria-label={t.signIn.signOut}
          title={t.signIn.signOut}
          data-testid="sign-out"
        >
          <SignOutIcon size={18} />
        </button>
      )}
    </>
  )
}
