/** A question that is not in the log yet: on its way, waiting for its turn or the server, or refused. */
import type { ModelList } from '@millrace/client'
import type { PendingRun } from '@millrace/client/chat'
import { useId } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Button } from '../ui/button.tsx'
import { Note } from '../ui/text.tsx'
import { ErrorCard } from './error-card.tsx'
import { ModelName } from './model-name.tsx'
import { Question } from './question.tsx'
import styles from './turn.module.css'

export interface PendingTurnProps {
  readonly pending: PendingRun
  readonly isAnchored: boolean
  /** It will be sent when the server is back. */
  readonly isUnreachable: boolean
  readonly models: ModelList | undefined
  readonly onRetry: (id: string) => void
  /** The question returns to the composer: it is never lost. */
  readonly onWithdraw: (pending: PendingRun) => void
}

export function PendingTurn({ pending, isAnchored, isUnreachable, models, onRetry, onWithdraw }: PendingTurnProps) {
  const { t } = useLanguage()
  const id = useId()
  const status = pending.status === 'sending' && isUnreachable ? 'waiting' : pending.status
  const notes = { queued: t.queued, sending: t.sending, waiting: t.waitingToSend, rejected: '' }
  return (
    <article className={styles.turn} data-pending={status} data-anchored={isAnchored} aria-labelledby={id}>
      <Question id={id} text={pending.query} messages={pending.messages} />
      <div className={styles.column}>
        {status === 'rejected' ? (
          <div className={styles.refused}>
            {pending.models?.map((name, index) => (
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
            {notes[status]}
            {status !== 'sending' && (
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
