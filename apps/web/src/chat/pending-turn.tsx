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
  /** Nothing is before it any more. */
  readonly isStarting: boolean
  /** Nothing is being answered, and yet it waits: somebody has stopped the answer before it. */
  readonly isPaused: boolean
  readonly models: ModelList | undefined
  readonly onRetry: (id: string) => void
  /** The question returns to the composer: it is never lost. */
  readonly onWithdraw: (pending: PendingRun) => void
  /** Changes what waits on the server: its question, or that it is asked now. */
  readonly onChange: (id: string, change: { readonly query?: string; readonly steer?: boolean }) => void
}

export function PendingTurn({
  pending,
  isAnchored,
  isUnreachable,
  isStarting,
  isPaused,
  models,
  onRetry,
  onWithdraw,
  onChange,
}: PendingTurnProps) {
  const { t } = useLanguage()
  const id = useId()
  const status = isUnreachable && pending.status !== 'rejected' ? 'waiting' : pending.status
  const isChangeable = pending.isQueued === true && status === 'queued' && !isUnreachable
  const queued = isStarting ? t.sending : isPaused ? t.queuedPaused : t.queued
  const notes = { queued, sending: t.sending, waiting: t.waitingToSend, rejected: '' }
  return (
    <article className={styles.turn} data-pending={status} data-anchored={isAnchored} aria-labelledby={id}>
      <Question
        id={id}
        text={pending.query}
        messages={pending.messages}
        onEdit={isChangeable && pending.messages === undefined ? (query) => onChange(pending.id, { query }) : undefined}
      />
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
            {isChangeable && (
              <Button look="small" data-testid="steer" onClick={() => onChange(pending.id, { steer: true })}>
                {t.steer}
              </Button>
            )}
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
