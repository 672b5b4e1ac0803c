/** A question that is not in the log yet: on its way, waiting for its turn or the server, or refused. */
import type { ModelList } from '@millrace/client'
import type { PendingRun } from '@millrace/client/chat'
import { type PointerEvent, useId, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Button } from '../ui/button.tsx'
import { ChevronIcon, GripIcon } from '../ui/icons.tsx'
import { HiddenText, Note } from '../ui/text.tsx'
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
  readonly isDragged: boolean
  /** Among those that wait on the server, from 0. */
  readonly place: number
  readonly placeCount: number
  readonly onGrab: (id: string, event: PointerEvent) => void
  readonly onShift: (id: string, by: -1 | 1) => void
  readonly onRetry: (id: string) => void
  /** The question returns to the composer: it is never lost. */
  readonly onWithdraw: (pending: PendingRun) => void
  /** Changes what waits on the server: its question, or that it is asked now. */
  readonly onChange: (id: string, change: { readonly query?: string; readonly steer?: boolean }) => void
}

export function PendingTurn(props: PendingTurnProps) {
  const { pending, isAnchored, isUnreachable, isStarting, isPaused, isDragged, models, onRetry, onWithdraw, onChange } = props
  const { t } = useLanguage()
  const id = useId()
  const status = isUnreachable && pending.status !== 'rejected' ? 'waiting' : pending.status
  const isChangeable = pending.isQueued === true && status === 'queued' && !isUnreachable
  const queued = isStarting ? t.sending : props.place > 0 ? t.queuedBehind : isPaused ? t.queuedPaused : t.queued
  const notes = { queued, sending: t.sending, waiting: t.waitingToSend, rejected: '' }
  return (
    <article
      className={styles.turn}
      data-pending={status}
      data-anchored={isAnchored}
      data-reorder={pending.id}
      data-dragged={isDragged || undefined}
      aria-labelledby={id}
    >
      <Question
        id={id}
        text={pending.query}
        messages={pending.messages}
        onEdit={isChangeable && pending.messages === undefined ? (query) => onChange(pending.id, { query }) : undefined}
        tools={isChangeable && props.placeCount > 1 ? <Place {...props} /> : undefined}
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

function Place({ pending: { id }, place, placeCount, onGrab, onShift }: PendingTurnProps) {
  const { t, number } = useLanguage()
  const [moved, setMoved] = useState('')
  const shift = (by: -1 | 1) => {
    onShift(id, by)
    setMoved(t.reorder.moved(number(place + by + 1), number(placeCount)))
  }
  return (
    <fieldset aria-label={t.reorder.label} className={styles.place}>
      {/* Disabled, a button would lose the focus at the end of the way. */}
      <Button
        look="quiet"
        className={styles.up}
        aria-label={t.reorder.up}
        title={t.reorder.up}
        aria-disabled={place === 0}
        data-testid="ask-earlier"
        onClick={() => place > 0 && shift(-1)}
      >
        <ChevronIcon size={14} />
      </Button>
      <Button
        look="quiet"
        aria-label={t.reorder.down}
        title={t.reorder.down}
        aria-disabled={place === placeCount - 1}
        data-testid="ask-later"
        onClick={() => place < placeCount - 1 && shift(1)}
      >
        <ChevronIcon size={14} />
      </Button>
      <span className={styles.grip} title={t.reorder.drag} data-testid="drag" onPointerDown={(event) => onGrab(id, event)}>
        <GripIcon size={16} />
      </span>
      <HiddenText role="status">{moved}</HiddenText>
    </fieldset>
  )
}
