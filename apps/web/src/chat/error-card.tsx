/** Below the text of an answer that failed, never in its place: what happened, what was kept, and what to do. */
import { useLanguage } from '../i18n/language.tsx'
import { Button } from '../ui/button.tsx'
import { AlertIcon, RetryIcon } from '../ui/icons.tsx'
import styles from './answer.module.css'
import { type Continuable, ContinueButton } from './continue-button.tsx'

export interface ErrorCardProps {
  /** Undefined for an interruption: then there is no error, the server was gone. */
  readonly error: { readonly code: string; readonly message: string } | undefined
  readonly hasPartial: boolean
  /** Where there is something to go on with. */
  readonly continuable?: Continuable | undefined
  onRetry?: (() => void) | undefined
  onWithdraw?: (() => void) | undefined
}

/** What the server says of them is about this case, and more than the title. */
const exactCodes: ReadonlySet<string> = new Set([
  'budget_exhausted',
  'forbidden',
  'log_full',
  'model_not_found',
  'model_unavailable',
  'rate_limited',
])

export function ErrorCard({ error, hasPartial, continuable, onRetry, onWithdraw }: ErrorCardProps) {
  const { t } = useLanguage()
  const title = error === undefined ? t.error.interruptedTitle : (t.error.titles[error.code] ?? t.error.generic)
  return (
    <div className={styles.error} data-testid="error" data-code={error?.code ?? 'interrupted'}>
      <AlertIcon size={18} />
      <div>
        <p className={styles.errorTitle}>{title}</p>
        {error !== undefined && (t.error.titles[error.code] === undefined || exactCodes.has(error.code)) && (
          <p lang="en">{error.message}</p>
        )}
        {hasPartial && <p>{t.error.kept}</p>}
        <div className={styles.ways}>
          {continuable !== undefined && <ContinueButton {...continuable} look="small" />}
          {onRetry !== undefined && (
            <Button look="small" onClick={onRetry} data-testid="retry">
              <RetryIcon size={14} />
              {t.retry}
            </Button>
          )}
          {onWithdraw !== undefined && (
            <Button look="small" onClick={onWithdraw}>
              {t.withdraw}
            </Button>
          )}
          {error !== undefined && (
            <a href={`./docs/errors#${error.code}`} target="_blank" rel="noopener noreferrer">
              {t.error.explain}
            </a>
          )}
        </div>
      </div>
    </div>
  )
}
