/** A question that is not in the log yet: on its way, waiting for its turn or the server, or refused. */
import { useId } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import type { PendingRun } from '../session/outbox.ts'
import { ErrorCard } from './error-card.tsx'
import { Question } from './turn.tsx'

export interface PendingTurnProps {
  readonly pending: PendingRun
  readonly isAnchored: boolean
  onRetry(id: string): void
  onCancel(id: string): void
}

export function PendingTurn({ pending, isAnchored, onRetry, onCancel }: PendingTurnProps) {
  const { t } = useLanguage()
  const id = useId()
  const notes = { queued: t.queued, sending: t.sending, waiting: t.waitingToSend, refused: '' }
  return (
    <article className="turn" data-pending={pending.status} data-anchored={isAnchored} aria-labelledby={id}>
      <Question id={id} text={pending.query} />
      <div className="column">
        {pending.status === 'refused' ? (
          <ErrorCard error={pending.error} hasPartial={false} onRetry={() => onRetry(pending.id)} onDismiss={() => onCancel(pending.id)} />
        ) : (
          <p className="pending-note">
            {notes[pending.status]}
            {pending.status !== 'sending' && (
              <button type="button" className="small-button" onClick={() => onCancel(pending.id)}>
                {t.takeBack}
              </button>
            )}
          </p>
        )}
      </div>
    </article>
  )
}
