/** The conversation: every turn in the order it was asked, and the way to its end. */
import type { ModelList } from '@millrace/client'
import type { PendingRun } from '@millrace/client/chat'
import { Fragment, type ReactNode } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { ArrowDownIcon } from '../ui/icons.tsx'
import { Note } from '../ui/text.tsx'
import { useFollow } from './follow.ts'
import { PendingTurns } from './pending-turns.tsx'
import styles from './transcript.module.css'
import { Turn, type TurnActions } from './turn.tsx'
import type { Conversation } from './use-conversation.ts'

export interface TranscriptProps {
  readonly conversation: Conversation
  readonly models: ModelList | undefined
  /** Chosen for the next question, where it is one. */
  readonly chosenModel: string | undefined
  readonly actions: TurnActions
  readonly onWithdraw: (pending: PendingRun) => void
  /** Shown instead of turns while there are none. */
  readonly children: ReactNode
}

export function Transcript({ conversation, models, chosenModel, actions, onWithdraw, children }: TranscriptProps) {
  const { t } = useLanguage()
  const { chat, session, asked, used } = conversation
  const { stopping, resuming } = chat
  // What is asked in another's place is seen there in a moment.
  const pending = chat.pending.filter(({ regenerates, status }) => regenerates === undefined || status !== 'sending')
  const runs = [...chat.lost, ...chat.runs]
  // The server no longer has them.
  const lostCount = chat.status === 'closed' ? runs.length : chat.lost.length
  // Asking, and opening a conversation, scrolls to its end.
  const { scroller, content, isPinned, hasNew, pin } = useFollow(chat.runs, `${session.id} ${asked.size} ${pending.length}`)
  const isOneOfSeveral = runs.filter(({ status }) => status === 'streaming').length > 1
  const isEmpty = runs.length === 0 && pending.length === 0
  const isBusy = runs.some(({ status }) => status === 'streaming' || status === 'waiting')
  // What waits begins by itself, unless somebody has stopped what was before it.
  const isStarting = !isBusy && runs.at(-1)?.status !== 'stopped'
  const isLast = (index: number) => index === runs.length + pending.length - 1
  return (
    <div className={styles.place}>
      <div ref={scroller} className={styles.scroller} data-pinned={isPinned} data-testid="scroller">
        <div
          ref={content}
          data-empty={isEmpty || undefined}
          role="log"
          aria-live="off"
          aria-label={t.transcript}
          className={styles.transcript}
        >
          {!chat.complete && <Note className={styles.notice}>{t.cutBeginning}</Note>}
          {runs.map((run, index) => (
            <Fragment key={run.run}>
              <Turn
                session={session}
                run={run}
                models={models}
                isStopping={stopping.has(run.run)}
                isResuming={resuming.has(run.run)}
                refusal={resuming.get(run.run)}
                isAnchored={isLast(index) && asked.has(run.run)}
                isLost={index < lostCount}
                isOneOfSeveral={isOneOfSeveral && run.status === 'streaming'}
                isLast={isLast(index)}
                siblings={chat.siblings.get(run.run)}
                usedLane={runs[index + 1]?.parentLane ?? (used?.run === run.run ? used.lane : undefined)}
                {...{ chosenModel, actions }}
              />
              {index === lostCount - 1 && <Note className={styles.notice}>{t.lost}</Note>}
            </Fragment>
          ))}
          <PendingTurns {...{ conversation, pending, models, isBusy, isStarting, onWithdraw }} />
          {isEmpty && children}
        </div>
      </div>
      {!isPinned && !isEmpty && (
        <button type="button" className={styles.jump} data-testid="jump" onClick={pin}>
          <ArrowDownIcon size={14} />
          {hasNew ? t.jumpToNew : t.jumpToLatest}
        </button>
      )}
    </div>
  )
}
