/** Stands where the page cannot be drawn. What was said is on the server, so that a new page has all of it. */
import { useLanguage } from '../i18n/language.tsx'

export function PageFailure() {
  const { t } = useLanguage()
  return (
    <main className="shell items-center justify-center px-5 text-center" role="alert" data-testid="page-failure">
      <h1 className="text-xl font-semibold">{t.broken.title}</h1>
      <p className="mt-2 max-w-md text-balance text-muted">{t.broken.text}</p>
      <button type="button" className="primary-button mt-6" onClick={() => window.location.reload()}>
        {t.broken.reload}
      </button>
    </main>
  )
}
