/** The page before the first question: what this is, and four questions that each show something. */
import { useLanguage } from '../i18n/language.tsx'
import { Logo } from '../ui/logo.tsx'
import styles from './empty.module.css'

export interface EmptyProps {
  /** `models` undefined: whichever are chosen. */
  readonly ask: (query: string, models?: readonly string[]) => void
}

const suggestionModels = {
  guide: ['builtin:guide'],
  long: ['sim:count?n=500&tps=40'],
  compare: ['sim:count?n=200&tps=20', 'sim:count?n=200&tps=60'],
  tool: ['sim:tool?name=mail&approve=1'],
} as const

const order = ['guide', 'long', 'compare', 'tool'] as const

export function Empty({ ask }: EmptyProps) {
  const { t } = useLanguage()
  return (
    <section className={styles.empty}>
      <Logo size={44} />
      <h2 className={styles.title}>{t.emptyTitle}</h2>
      <p className={styles.text}>{t.emptyText}</p>
      <ul aria-label={t.suggestionsLabel} className={styles.suggestions}>
        {order.map((name) => (
          <li key={name}>
            <button
              type="button"
              className={styles.suggestion}
              data-suggestion={name}
              onClick={() => ask(t.suggestions[name].query, suggestionModels[name])}
            >
              {t.suggestions[name].title}
              <span className={styles.detail}>{t.suggestions[name].detail}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}
