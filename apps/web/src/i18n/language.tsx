/** The page's language: the browser's at first, then whatever was chosen by hand. */
import { createContext, type ReactNode, useContext, useMemo, useState } from 'react'
import { keepSetting, readSetting } from '../settings/storage.ts'
import { type Dictionary, en } from './en.ts'
import { zh } from './zh.ts'

export interface Language {
  readonly t: Dictionary
  /** Formats a number; by default without decimals. */
  readonly number: (value: number, decimals?: number) => string
  /** Under a second in milliseconds, then in seconds. */
  readonly duration: (ms: number) => string
  /** Of less than one unit, as many digits as say something. */
  readonly money: (amount: number, currency: string) => string
  /** A size. */
  readonly bytes: (count: number) => string
  readonly toggle: () => void
}

const LanguageContext = createContext<Language | undefined>(undefined)

export function useLanguage(): Language {
  const language = useContext(LanguageContext)
  if (language === undefined) throw new Error('useLanguage needs a LanguageProvider above it')
  return language
}

export function readLanguage(): Dictionary {
  const wanted = readSetting('language') ?? navigator.languages.find((tag) => /^(zh|en)\b/i.test(tag)) ?? 'en'
  return /^zh\b/i.test(wanted) ? zh : en
}

export function showLanguage(t: Dictionary): void {
  // Chooses the Chinese glyphs of the font, the hyphenation and the screen reader's voice.
  document.documentElement.lang = t.tag
}

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [t, setDictionary] = useState(readLanguage)
  const language = useMemo(() => createLanguage(t, setDictionary), [t])
  return <LanguageContext value={language}>{children}</LanguageContext>
}

function createLanguage(t: Dictionary, choose: (t: Dictionary) => void): Language {
  // Of each number of decimals one: making it takes longer than all that a word of an answer changes.
  const formats: Intl.NumberFormat[] = []
  const number = (value: number, decimals = 0) => {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals }
    formats[decimals] ??= new Intl.NumberFormat(t.tag, digits)
    return formats[decimals].format(value)
  }
  return {
    t,
    number,
    duration: (ms) => (ms < 1000 ? t.milliseconds(number(ms)) : t.seconds(number(ms / 1000, ms < 10_000 ? 1 : 0))),
    money: (amount, currency) =>
      new Intl.NumberFormat(t.tag, {
        style: 'currency',
        currency,
        ...(amount > 0 && amount < 1 && { minimumSignificantDigits: 2, maximumSignificantDigits: 2 }),
      }).format(amount),
    bytes: (count) => (count < 1000 ? t.bytes(number(count)) : t.kilobytes(number(count / 1000, count < 10_000 ? 1 : 0))),
    toggle() {
      const other = t === en ? zh : en
      keepSetting('language', other.tag)
      showLanguage(other)
      choose(other)
    },
  }
}
