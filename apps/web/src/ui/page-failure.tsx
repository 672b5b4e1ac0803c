/** Replaces a page that React cannot render. The conversation is on the server, so a reload shows all of it. */
import { useLanguage } from '../i18n/language.tsx'
import styles from './layout.module.css'
import { Message } from './message.tsx'

export function PageFailure() {
  const { t } = useLanguage()
  return (
    <main className={styles.shell}>
      <Message
        role="alert"
        data-testid="page-failure"
        title={t.broken.title}
        text={t.broken.text}
        action={t.broken.reload}
        onAction={() => window.location.reload()}
      />
    </main>
  )
}
