/** One question with its answers: one below it, or up to four beside each other. */
import type { MillraceError, ModelList, Session } from '@millrace/client'
import type { ChatLane, ChatRun } from '@millrace/client/chat'
import { memo, useCallback, useId, useRef, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { classes } from '../ui/classes.ts'
import { Ellipsis, HiddenText } from '../ui/text.tsx'
import { Answer, PlainAnswer } from './answer.tsx'
import { Boundary } from './boundary.tsx'
import type { Continuable } from './continue-button.tsx'
import { shortenName } from './short-name.ts'
import { PhaseDot } from './status-strip.tsx'
import styles from './turn.module.css'

export interface TurnProps {
  readonly session: Session
  readonly run: ChatRun
  readonly models: ModelList | undefined
  readonly isStopping: boolean
  /** It was asked here to go on, and does not yet. */
  readonly isResuming: boolean
  /** Why it will not. */
  readonly refusal: MillraceError | undefined
  /** Undefined where the session is gone. */
  readonly onContinue: ((run: string) => void) | undefined
  /** Keeps room for the answer below the question, so that nothing moves while it fills. */
  readonly isAnchored: boolean
  readonly ask: (query: string, models: readonly string[]) => void
  /** Undefined where nothing else is being answered. */
  readonly onStop: ((run: string) => void) | undefined
}

export const Turn = memo(function Turn(props: TurnProps) {
  const { session, run, models, isStopping, isResuming, refusal, isAnchored, ask, onContinue, onStop } = props
  const { t } = useLanguage()
  const id = useId()
  const retry = useCallback((model: string) => ask(run.query, [model]), [ask, run.query])
  const continuable = onContinue && readContinuable(run, isResuming && refusal === undefined, onContinue)
  // Lanes are not stopped one by one, so that one button is enough.
  const stoppable = run.lanes.find(({ status }) => status === 'streaming')
  const stop = useCallback(() => onStop?.(run.run), [onStop, run.run])
  const answers = run.lanes.map((lane) => (
    <Boundary key={lane.lane} retryKey={lane.status} fallback={<PlainAnswer lane={lane} />}>
      <Answer
        session={session}
        lane={lane}
        models={models}
        isStopping={isStopping}
        continuable={isCut(lane) && lane.text !== '' ? continuable : undefined}
        refusal={isCut(lane) ? refusal : undefined}
        onRetry={retry}
        onStop={lane === stoppable && onStop !== undefined ? stop : undefined}
      />
    </Boundary>
  ))
  return (
    <article className={styles.turn} data-run={run.run} data-status={run.status} data-anchored={isAnchored} aria-labelledby={id}>
      <Question id={id} text={run.query} />
      {run.lanes.length < 2 ? (
        <div className={styles.column}>{answers}</div>
      ) : (
        <Lanes run={run} label={t.lanes}>
          {answers}
        </Lanes>
      )}
    </article>
  )
})

/** Undefined where the run goes on, or its beginning is missing: nobody could go on with half of it. */
function readContinuable(run: ChatRun, isPending: boolean, onContinue: (run: string) => void): Continuable | undefined {
  if (run.status === 'streaming' || run.continues !== undefined) return undefined
  return {
    isAll: run.lanes.filter(isCut).length > 1,
    isPending,
    onContinue: () => onContinue(run.run),
  }
}

/** It ended, and not because there was nothing more to say. */
function isCut({ status }: ChatLane): boolean {
  return status !== 'streaming' && status !== 'completed'
}

export function Question({ id, text }: { id: string; text: string }) {
  const { t } = useLanguage()
  return (
    <div className={classes(styles.column, styles.asked)}>
      <h2 id={id} className={styles.question} dir="auto">
        <HiddenText>{t.you}: </HiddenText>
        {text}
      </h2>
    </div>
  )
}

/** Columns where there is room; on a phone one lane at a time, to swipe or to choose above. */
function Lanes({ run, label, children }: { run: ChatRun; label: string; children: React.ReactNode }) {
  const strip = useRef<HTMLElement>(null)
  const [current, setCurrent] = useState(0)
  const show = (index: number) => {
    const element = strip.current
    element?.scrollTo({ left: index * element.clientWidth, behavior: 'auto' })
  }
  return (
    <>
      <div className={styles.tabs}>
        {run.lanes.map((lane, index) => (
          <button
            key={lane.lane}
            type="button"
            aria-pressed={index === current}
            aria-label={lane.lane}
            onClick={() => show(index)}
            className={styles.tab}
            data-testid="lane-tab"
          >
            <PhaseDot phase={lane.status} />
            <Ellipsis>{shortenName(lane.lane, 15)}</Ellipsis>
          </button>
        ))}
      </div>
      <section
        ref={strip}
        aria-label={label}
        className={styles.lanes}
        data-count={run.lanes.length}
        onScroll={({ currentTarget }) =>
          setCurrent(Math.round(currentTarget.scrollLeft / Math.max(1, currentTarget.clientWidth)))
        }
      >
        {children}
      </section>
    </>
  )
}
