/** Stands below what was said, never in its place: what happened, what was kept, and a way on. */
import { errorDocs, errors, type PublicError } from '@millrace/protocol'
import { useLanguage } from '../i18n/language.tsx'
import { AlertIcon, RetryIcon } from '../ui/icons.tsx'
import { type Continuable, ContinueButton } from './continue-button.tsx'

export interface ErrorCardProps {
  /** Undefined for an interruption: then there is no error, the server was gone. */
  readonly error: PublicError | undefined
  readonly hasPartial: boolean
  /** Where there is something to go on with. */
  readonly continuable?: Continuable | undefined
  onRetry?: (() => void) | undefined
  onWithdraw?: (() => void) | undefined
}

export function ErrorCard({ error, hasPartial, continuable, onRetry, onWithdraw }: ErrorCardProps) {
  const { t } = useLanguage()
  const title = error === undefined ? t.error.interruptedTitle : (t.error.titles[error.code] ?? t.error.generic)
  return (
    <div className="error-card" data-testid="error" data-code={error?.code ?? 'interrupted'}>
      <AlertIcon size={18} />
      <div className="min-w-0 flex-1">
        <p className="font-medium">{title}</p>
        {error !== undefined && !isSaidByTitle(error) && (
          <p className="mt-0.5 text-sm break-words" lang="en">
            {error.message}
          </p>
        )}
        {hasPartial && <p className="mt-0.5 text-sm">{t.error.kept}</p>}
        <div className="mt-2.5 flex flex-wrap items-center gap-2">
          {continuable !== undefined && <ContinueButton {...continuable} className="small-button" />}
          {onRetry !== undefined && (
            <button type="button" className="small-button" onClick={onRetry} data-testid="retry">
              <RetryIcon size={14} />
              {t.retry}
            </button>
          )}
          {onWithdraw !== undefined && (
            <button type="button" className="small-button" onClick={onWithdraw}>
              {t.withdraw}
            </button>
          )}
          {error !== undefined && (
            <a className="px-1.5 text-[13px]" href={`.${errorDocs(error.code)}`} target="_blank" rel="noopener noreferrer">
              {t.error.explain}
            </a>
          )}
        </div>
      </div>
    </div>
  )

  /** The table's own sentence is what the title says in the reader's language; only a more exact one adds to it. */
  function isSaidByTitle({ code, message }: PublicError): boolean {
    return t.error.titles[code] !== undefined && message === errors[code].message
  }
}
