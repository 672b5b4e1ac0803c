/** One lane: whose answer it is, what it says, how it stands, and what went wrong with it. */

import type { MillraceError, ModelList, Session } from '@millrace/client'
import type { ChatLane } from '@millrace/client/chat'
import { memo, useRef } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Markdown } from '../markdown/markdown.tsx'
import { Button } from '../ui/button.tsx'
import { classes } from '../ui/classes.ts'
import { CopyButton } from '../ui/copy-button.tsx'
import { StopIcon } from '../ui/icons.tsx'
import styles from './answer.module.css'
import { type Continuable, ContinueButton } from './continue-button.tsx'
import { ErrorCard } from './error-card.tsx'
import { Files } from './files.tsx'
import { ModelName } from './model-name.tsx'
import { Reasoning } from './reasoning.tsx'
import { StatusStrip } from './status-strip.tsx'
import { useTextWhileSelecting } from './text-while-selecting.ts'

export interface AnswerProps {
  readonly session: Session
  readonly lane: ChatLane
  readonly models: ModelList | undefined
  readonly isStopping: boolean
  /** Where its run can be continued, and this lane would go on. */
  readonly continuable: Continuable | undefined
  /** Why it was not, although that was asked for. */
  readonly refusal: MillraceError | undefined
  readonly onRetry: (model: string) => void
  /** Ends its run. Undefined where it is the only one: then the button beside the composer does. */
  readonly onStop: (() => void) | undefined
}

/** In the place of an answer that cannot be drawn: what it says, as it was said. */
export function PlainAnswer({ lane }: { lane: ChatLane }) {
  const { t } = useLanguage()
  return (
    <section
      className={styles.answer}
      data-testid="answer"
      data-lane={lane.lane}
      data-status={lane.status}
      aria-label={lane.lane}
    >
      <header className={styles.model}>{lane.model}</header>
      <p className={styles.plainNote} data-testid="plain-answer">
        {t.broken.answer}
      </p>
      <div data-testid="answer-text" className={classes(styles.text, styles.plain)} translate="no" dir="auto">
        {lane.text}
      </div>
    </section>
  )
}

export const Answer = memo(function Answer({
  session,
  lane,
  models,
  isStopping,
  continuable,
  refusal,
  onRetry,
  onStop,
}: AnswerProps) {
  const { t } = useLanguage()
  const body = useRef<HTMLDivElement>(null)
  const isStreaming = lane.status === 'streaming'
  const [text, isGrowing] = useTextWhileSelecting(lane.text, body, isStreaming)
  const hasFailed = lane.status === 'failed' || lane.status === 'interrupted' || refusal !== undefined
  return (
    <section
      className={styles.answer}
      data-testid="answer"
      data-lane={lane.lane}
      data-status={lane.status}
      aria-label={lane.lane}
    >
      <ModelName name={lane.model} models={models} />
      {lane.reasoning !== '' && <Reasoning text={lane.reasoning} isThinking={isStreaming && lane.text === ''} />}
      <div ref={body} data-testid="answer-text" className={styles.text}>
        {text === '' && isStreaming ? (
          <span className={styles.waiting} aria-hidden="true">
            <span />
            <span />
            <span />
          </span>
        ) : (
          <Markdown text={text} isGrowing={isGrowing} />
        )}
      </div>
      {lane.data.length > 0 && (
        <pre className={styles.data}>{lane.data.map(({ name, value }) => `${name}: ${JSON.stringify(value)}`).join('\n')}</pre>
      )}
      {lane.files.length > 0 && <Files files={lane.files} session={session} />}
      {hasFailed && (
        <ErrorCard
          error={refusal ?? lane.error}
          hasPartial={lane.text !== ''}
          continuable={continuable}
          onRetry={() => onRetry(lane.model)}
        />
      )}
      <StatusStrip lane={lane} isStopping={isStopping}>
        {isStreaming && onStop !== undefined && (
          <Button look="quiet" disabled={isStopping} onClick={onStop} data-testid="stop-run">
            <StopIcon />
            <span>{t.stop}</span>
          </Button>
        )}
        {!isStreaming && lane.text !== '' && (
          <>
            {!hasFailed && continuable !== undefined && <ContinueButton {...continuable} look="quiet" />}
            <CopyButton text={lane.text} label={t.copyAnswer} />
          </>
        )}
      </StatusStrip>
    </section>
  )
})
