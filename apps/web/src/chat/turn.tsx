/** One question with its answers: one below it, or up to four beside each other. */
import type { CallDecision, MillraceError, ModelList, Session } from '@millrace/client'
import type { ChatLane, ChatRun } from '@millrace/client/chat'
import { memo, useCallback, useId, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Button } from '../ui/button.tsx'
import { classes } from '../ui/classes.ts'
import { Answer, PlainAnswer } from './answer.tsx'
import { Boundary } from './boundary.tsx'
import type { Continuable } from './continue-button.tsx'
import { Lanes } from './lanes.tsx'
import { Question } from './question.tsx'
import { shortenName } from './short-name.ts'
import styles from './turn.module.css'

export interface TurnActions {
  /** Goes on with an answer that ended before its time. */
  readonly resume: (run: string) => void
  /** One of its answers, or all. */
  readonly stop: (run: string, lane?: string) => void
  /** Asks the same again, beside the run. */
  readonly regenerate: (run: string, models: readonly string[]) => void
  readonly edit: (run: string, question: string) => void
  /** Shows another run at the same place. */
  readonly choose: (run: string) => void
  /** The next question follows this one of several answers. */
  readonly use: (run: string, lane: string) => void
  /** Shows the events of one of its answers. */
  readonly inspect: (run: string, lane: string) => void
  /** Decides about a call that waits; rejects with a MillraceError. */
  readonly decide: (run: string, decision: CallDecision) => Promise<unknown>
}

export interface TurnProps {
  readonly session: Session
  readonly run: ChatRun
  readonly models: ModelList | undefined
  readonly isStopping: boolean
  /** It was asked here to go on, and does not yet. */
  readonly isResuming: boolean
  /** Why it will not. */
  readonly refusal: MillraceError | undefined
  /** Keeps room for the answer below the question, so that nothing moves while it fills. */
  readonly isAnchored: boolean
  /** The session no longer has it: it can only be read. */
  readonly isLost: boolean
  /** Something else is being answered, too: then each answer has a button that stops it. */
  readonly isOneOfSeveral: boolean
  readonly isLast: boolean
  readonly siblings: readonly string[] | undefined
  /** The answer that the conversation goes on from, where there are several. */
  readonly usedLane: string | undefined
  /** Chosen for the next question. */
  readonly chosenModel: string | undefined
  readonly actions: TurnActions
}

export const Turn = memo(function Turn(props: TurnProps) {
  const { session, run, models, isStopping, isResuming, refusal, isAnchored, isLost, isOneOfSeveral, siblings, actions } = props
  const { isLast, usedLane, chosenModel } = props
  const { t } = useLanguage()
  const id = useId()
  const { run: name } = run
  const edit = useCallback((text: string) => actions.edit(name, text), [actions, name])
  const stop = useCallback((lane: string) => actions.stop(name, lane), [actions, name])
  const use = useCallback((lane: string) => actions.use(name, lane), [actions, name])
  const inspect = useCallback((lane: string) => actions.inspect(name, lane), [actions, name])
  const decide = useCallback((decision: CallDecision) => actions.decide(name, decision), [actions, name])
  const regenerate = useCallback((model: string) => actions.regenerate(name, [model]), [actions, name])
  const continuable = isLost ? undefined : readContinuable(run, isResuming && refusal === undefined, actions.resume)
  const isStreaming = run.status === 'streaming'
  const isJson = run.params?.responseFormat?.type.startsWith('json') === true
  // What is the only answer in progress is stopped by the button beside the composer.
  const isStoppable = isOneOfSeveral || run.lanes.length > 1
  const isUsable = isLast && !isLost && !isStreaming && run.lanes.length > 1
  const [shown, aside] = divide(run.lanes, usedLane)
  const [focused, setFocused] = useState<string>()
  const toggleFocus = useCallback((lane: string) => setFocused((before) => (before === lane ? undefined : lane)), [])
  const answers = shown.map((lane) => (
    <Boundary key={lane.lane} retryKey={lane.status} fallback={<PlainAnswer lane={lane} />}>
      <Answer
        session={session}
        lane={lane}
        models={models}
        isStopping={isStopping}
        isJson={isJson}
        continuable={isCut(lane) && lane.text !== '' ? continuable : undefined}
        refusal={isCut(lane) ? refusal : undefined}
        onStop={isStoppable ? stop : undefined}
        onRegenerate={isLost || isStreaming ? undefined : regenerate}
        otherModel={chosenModel === lane.model ? undefined : chosenModel}
        onInspect={inspect}
        onDecide={isLost ? undefined : decide}
        onUse={isUsable && usedLane === undefined ? use : undefined}
        isFocused={lane.lane === focused}
        onFocus={shown.length > 1 ? toggleFocus : undefined}
      />
    </Boundary>
  ))
  return (
    <article className={styles.turn} data-run={name} data-status={run.status} data-anchored={isAnchored} aria-labelledby={id}>
      <Question
        id={id}
        text={run.query}
        messages={run.messages}
        onEdit={isLost ? undefined : edit}
        siblings={siblings}
        run={name}
        onChoose={actions.choose}
      />
      {shown.length < 2 ? (
        <div className={styles.column}>{answers}</div>
      ) : (
        <Lanes run={run} focused={focused} onFocus={setFocused}>
          {answers}
        </Lanes>
      )}
      {aside.length > 0 && (
        <div className={classes(styles.column, styles.aside)}>
          {aside.map(({ lane }) => (
            <Button key={lane} look="small" disabled={!isUsable} title={t.use} data-testid="aside" onClick={() => use(lane)}>
              {shortenName(lane, 24)}
            </Button>
          ))}
        </div>
      )}
    </article>
  )
})

/** Where one of several answers was chosen, the others are one line. */
function divide(lanes: readonly ChatLane[], used: string | undefined): readonly [readonly ChatLane[], readonly ChatLane[]] {
  const one = lanes.find(({ lane }) => lane === used)
  return one === undefined ? [lanes, []] : [[one], lanes.filter((lane) => lane !== one)]
}

/** Undefined where the run goes on, or its beginning is missing: nobody could go on with half of it. */
function readContinuable(run: ChatRun, isPending: boolean, onContinue: (run: string) => void): Continuable | undefined {
  if (run.status === 'streaming' || run.continues !== undefined) return undefined
  return {
    isAll: run.lanes.filter(isCut).length > 1,
    isPending,
    onContinue: () => onContinue(run.run),
  }
}

/** It ended, and not because there was nothing more to say; or it waits for what nobody can decide any more. */
function isCut({ status, parts }: ChatLane): boolean {
  if (status === 'waiting') return parts.some((part) => part.type === 'tool' && (part.expiresAt ?? Infinity) < Date.now())
  return status !== 'streaming' && status !== 'completed'
}
