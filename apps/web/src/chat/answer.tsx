/** One lane: whose answer it is, what it says, its state, and what went wrong with it. */

import type { CallDecision, MillraceError, ModelList, Session } from '@millrace/client'
import type { ChatLane } from '@millrace/client/chat'
import { memo, type ReactNode } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Button } from '../ui/button.tsx'
import { classes } from '../ui/classes.ts'
import { CopyButton } from '../ui/copy-button.tsx'
import { CheckIcon, ExpandIcon, RetryIcon, ShrinkIcon, StopIcon, WireIcon } from '../ui/icons.tsx'
import styles from './answer.module.css'
import { type Continuable, ContinueButton } from './continue-button.tsx'
import { ErrorCard } from './error-card.tsx'
import { ModelName } from './model-name.tsx'
import { Parts } from './parts.tsx'
import { shortenName } from './short-name.ts'
import { StatusStrip } from './status-strip.tsx'

export interface AnswerProps {
  readonly session: Session
  readonly lane: ChatLane
  readonly models: ModelList | undefined
  readonly isStopping: boolean
  /** Its text was asked for as JSON. */
  readonly isJson: boolean
  /** Where its run can be continued, and this lane would go on. */
  readonly continuable: Continuable | undefined
  /** Why it was not, although that was asked for. */
  readonly refusal: MillraceError | undefined
  /** Asks the same of this model again, beside the answer. Undefined where the session is gone. */
  readonly onRegenerate: ((model: string) => void) | undefined
  /** Another that is chosen for the next question. */
  readonly otherModel: string | undefined
  /** Goes on from this answer, where there are several. */
  readonly onUse: ((lane: string) => void) | undefined
  /** Of several answers, it is shown alone. */
  readonly isFocused: boolean
  /** Shows it alone, or all again. Undefined where it is the only one. */
  readonly onFocus: ((lane: string) => void) | undefined
  /** Shows its events. */
  readonly onInspect: (lane: string) => void
  /** Decides about a call that waits. Undefined where the session is gone. */
  readonly onDecide: ((decision: CallDecision) => Promise<unknown>) | undefined
  /** Stops it. Undefined where it is the only one: then the button beside the composer does. */
  readonly onStop: ((lane: string) => void) | undefined
}

function Lane({ lane: { lane, status }, children }: Pick<AnswerProps, 'lane'> & { readonly children: ReactNode }) {
  return (
    // A group, and no landmark: there are as many as answers.
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for what is filled in
    <section role="group" className={styles.answer} data-testid="answer" data-lane={lane} data-status={status} aria-label={lane}>
      {children}
    </section>
  )
}

/** Replaces an answer that React cannot render, and shows its text. */
export function PlainAnswer({ lane }: { lane: ChatLane }) {
  const { t } = useLanguage()
  return (
    <Lane lane={lane}>
      <header className={styles.model}>{lane.model}</header>
      <p className={styles.plainNote} data-testid="plain-answer">
        {t.broken.answer}
      </p>
      <div data-testid="answer-text" className={classes(styles.text, styles.plain)} translate="no" dir="auto">
        {lane.text}
      </div>
    </Lane>
  )
}

export const Answer = memo(function Answer(props: AnswerProps) {
  const { session, lane, models, isStopping, isJson, continuable, refusal, onStop, onRegenerate, otherModel, onUse, onDecide } =
    props
  const { isFocused, onFocus, onInspect } = props
  const { t } = useLanguage()
  const isStreaming = lane.status === 'streaming'
  const hasFailed = lane.status === 'failed' || lane.status === 'interrupted' || refusal !== undefined
  const regenerate = onRegenerate && (() => onRegenerate(lane.model))
  return (
    <Lane lane={lane}>
      <ModelName name={lane.model} models={models}>
        {onFocus !== undefined && (
          <Button
            look="quiet"
            className={styles.focus}
            aria-pressed={isFocused}
            aria-label={t.focus}
            title={isFocused ? t.unfocus : t.focus}
            data-testid="focus"
            onClick={() => onFocus(lane.lane)}
          >
            {isFocused ? <ShrinkIcon size={14} /> : <ExpandIcon size={14} />}
          </Button>
        )}
      </ModelName>
      <Parts {...{ lane, session, isJson, onDecide }} />
      {hasFailed && (
        <ErrorCard error={refusal ?? lane.error} hasPartial={lane.text !== ''} continuable={continuable} onRetry={regenerate} />
      )}
      <StatusStrip lane={lane} isStopping={isStopping}>
        {isStreaming && onStop !== undefined && (
          <Button look="quiet" disabled={isStopping} onClick={() => onStop(lane.lane)} data-testid="stop-run">
            <StopIcon />
            <span>{t.stop}</span>
          </Button>
        )}
        {!isStreaming && !hasFailed && continuable !== undefined && <ContinueButton {...continuable} look="quiet" />}
        {!isStreaming && onUse !== undefined && (
          <Button look="quiet" onClick={() => onUse(lane.lane)} aria-label={t.use} title={t.use} data-testid="use">
            <CheckIcon />
            <span>{t.use}</span>
          </Button>
        )}
        {!isStreaming && !hasFailed && regenerate !== undefined && (
          <Button look="quiet" onClick={regenerate} aria-label={t.regenerate} title={t.regenerate} data-testid="regenerate">
            <RetryIcon size={14} />
          </Button>
        )}
        {!isStreaming && onRegenerate !== undefined && otherModel !== undefined && (
          <Button
            look="quiet"
            onClick={() => onRegenerate(otherModel)}
            aria-label={t.regenerateWith(otherModel)}
            title={t.regenerateWith(otherModel)}
            data-testid="regenerate-with"
          >
            <RetryIcon size={14} />
            <span data-kept="true">{shortenName(otherModel, 18)}</span>
          </Button>
        )}
        {!isStreaming && lane.text !== '' && <CopyButton text={lane.text} label={t.copyAnswer} />}
        <Button
          look="quiet"
          onClick={() => onInspect(lane.lane)}
          aria-label={t.wire.open}
          title={t.wire.open}
          data-testid="inspect"
        >
          <WireIcon size={14} />
        </Button>
      </StatusStrip>
    </Lane>
  )
})
