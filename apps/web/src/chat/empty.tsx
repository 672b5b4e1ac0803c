/** The page before the first question: what this is, and four questions that each show something. */
import { useLanguage } from '../i18n/language.tsx'
import { Logo } from '../ui/logo.tsx'

export interface EmptyProps {
  /** `models` undefined: whichever are chosen. */
  readonly ask: (query: string, models?: readonly string[]) => void
}

const suggestionModels = {
  guide: ['builtin:guide'],
  long: ['sim:count?n=500&tps=40'],
  compare: ['sim:count?n=200&tps=20', 'sim:count?n=200&tps=60'],
  greet: undefined,
} as const

const order = ['guide', 'long', 'compare', 'greet'] as const

export function Empty({ ask }: EmptyProps) {
  const { t } = useLanguage()
  return (
    <section className="mx-auto flex w-full max-w-3xl flex-1 flex-col justify-center px-4 py-10 sm:px-6">
      <Logo size={44} />
      <h2 className="mt-6 text-[26px] font-semibold leading-tight tracking-tight text-balance sm:text-3xl">{t.emptyTitle}</h2>
      <p className="mt-3 max-w-[34em] text-muted text-pretty">{t.emptyText}</p>
      <ul aria-label={t.suggestionsLabel} className="mt-8 grid gap-2.5 sm:grid-cols-2">
        {order.map((name) => (
          <li key={name}>
            <button
              type="button"
              className="suggestion"
              data-suggestion={name}
              onClick={() => ask(t.suggestions[name].query, suggestionModels[name])}
            >
              <span className="font-medium">{t.suggestions[name].title}</span>
              <span className="text-sm text-muted">{t.suggestions[name].detail}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}
