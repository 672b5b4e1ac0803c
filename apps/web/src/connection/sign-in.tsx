/** In place of the page where the server asks who is there: what it wants, and a field for it. */
import { type FormEvent, type ReactNode, useState } from 'react'
import { Switches } from '../header.tsx'
import { useLanguage } from '../i18n/language.tsx'
import { checkToken } from '../session/api.ts'
import { type SignInReason, signIn, useSignInReason } from '../session/sign-in.ts'
import { Logo } from '../ui/logo.tsx'

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
    <div className="shell">
      <header className="header justify-end">
        <Switches />
      </header>
      <main className="flex flex-1 flex-col items-center justify-center px-5">
        <form className="flex w-full max-w-sm flex-col" onSubmit={(event) => void submit(event)} data-testid="sign-in">
          <Logo />
          <h1 className="mt-5 text-xl font-semibold">{t.signIn.title}</h1>
          <p className="mt-2 text-muted">{t.signIn.reasons[reason]}</p>
          <label className="mt-6 text-sm font-medium" htmlFor="token">
            {t.signIn.label}
          </label>
          <input
            id="token"
            className="token-field"
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
          <p id="token-note" className="mt-2 text-[13px] text-muted">
            {t.signIn.note}
          </p>
          {problem !== undefined && (
            <p className="mt-3 text-sm text-danger" role="alert" data-testid="sign-in-problem">
              {t.signIn.problems[problem]}
            </p>
          )}
          <button type="submit" className="primary-button mt-6 justify-center" disabled={isBusy || token.trim() === ''}>
            {isBusy ? t.signIn.checking : t.signIn.submit}
          </button>
        </form>
      </main>
    </div>
  )
}
