/** A question that is not in the log yet: on its way, waiting for its turn or the server, or refused. */
import { useId } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import type { ModelList } from '../session/api.ts'
import type { PendingRun } from '../session/outbox.ts'
import { Button } from '../ui/button.tsx'
import { Note } from '../ui/text.tsx'
import { ErrorCard } from './error-card.tsx'
import { ModelName } from './model-name.tsx'
import styles from './turn.module.css'
import { Question } from './turn.tsx'

export interface PendingTurnProps {
  readonly pending: PendingRun
  readonly isAnchored: boolean
  readonly models: ModelList | undefined
  readonly onRetry: (id: string) => void
  /** The question returns to the composer: it is never lost. */
  readonly onWithdraw: (pending: PendingRun) => void
}

export function PendingTurn({ pending, isAnchored, models, onRetry, onWithdraw }: PendingTurnProps) {
  const { t } = useLanguage()
  const id = useId()
  const notes = { queued: t.queued, sending: t.sending, waiting: t.waitingToSend, refused: '' }
  return (
    <article className={styles.turn} data-pending={pending.status} data-anchored={isAnchored} aria-labelledby={id}>
      <Question id={id} text={pending.query} />
      <div className={styles.column}>
        {pending.status === 'refused' ? (
          <div className={styles.refused}>
            {pending.models.map((name, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the same model may stand there twice
              <ModelName key={`${index} ${name}`} name={name} models={models} />
            ))}
            <ErrorCard
              error={pending.error}
              hasPartial={false}
              // A permanent error would come again.
              onRetry={pending.error?.retryable === true ? () => onRetry(pending.id) : undefined}
              onWithdraw={() => onWithdraw(pending)}
            />
          </div>
        ) : (
          <Note isLate className={styles.pending}>
            {notes[pending.status]}
            {pending.status !== 'sending' && (
              <Button look="small" onClick={() => onWithdraw(pending)}>
                {t.withdraw}
              </Button>
            )}
          </Note>
        )}
      </div>
    </article>
  )
}
