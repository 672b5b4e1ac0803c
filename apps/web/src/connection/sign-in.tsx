/** In place of the page where the server asks who is there: what it wants, and a field for it. */
import { type FormEvent, type ReactNode, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Button } from '../ui/button.tsx'
import { Switches } from '../ui/header.tsx'
import layout from '../ui/layout.module.css'
import { Logo } from '../ui/logo.tsx'
import styles from './sign-in.module.css'
import { checkToken, type SignInReason, signIn, useSignInReason } from './token.ts'

/** Shows the page, or the way in. */
export function SignInGate({ children }: { children: ReactNode }) {
  const reason = useSignInReason()
  return reason === undefined ? children : <SignIn reason={reason} />
}

/** The only thing to do on this page. */
function focusOnce(field: HTMLInputElement | null): void {
  field?.focus()
}

type Problem = 'rejected' | 'unreachable' | undefined

function SignIn({ reason }: { reason: SignInReason }) {
  const { t } = useLanguage()
  const [token, setToken] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<Problem>()

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault()
    setBusy(true)
    const verdict = await checkToken(token.trim())
    if (verdict === 'accepted') return signIn(token.trim())
    setProblem(verdict)
    setBusy(false)
  }

  return (
    <div className={layout.shell}>
      <header className={styles.header}>
        <Switches />
      </header>
      <main className={styles.main}>
        <form className={styles.form} onSubmit={(event) => void submit(event)} data-testid="sign-in">
          <Logo />
          <h1 className={styles.title}>{t.signIn.title}</h1>
          <p className={styles.reason}>{t.signIn.reasons[reason]}</p>
          <label className={styles.label} htmlFor="token">
            {t.signIn.label}
          </label>
          <input
            id="token"
            className={styles.field}
            type="password"
            autoComplete="off"
            spellCheck={false}
            ref={focusOnce}
            value={token}
            onChange={(event) => setToken(event.target.value)}
            aria-describedby="token-note"
            aria-invalid={problem !== undefined}
            data-testid="token"
          />
          <p id="token-note" className={styles.note}>
            {t.signIn.note}
          </p>
          {problem !== undefined && (
            <p className={styles.problem} role="alert" data-testid="sign-in-problem">
              {t.signIn.problems[problem]}
            </p>
          )}
          <Button look="primary" type="submit" className={styles.submit} disabled={isBusy || token.trim() === ''}>
            {isBusy ? t.signIn.checking : t.signIn.submit}
          </Button>
        </form>
      </main>
    </div>
  )
}
