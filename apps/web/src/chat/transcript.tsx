/** The conversation: every turn in the order it was asked, and the way to its end. */
import { Fragment, type ReactNode } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import type { ModelList } from '../session/api.ts'
import type { PendingRun } from '../session/outbox.ts'
import type { ConversationView } from '../session/view.ts'
import { ArrowDownIcon } from '../ui/icons.tsx'
import { Note } from '../ui/text.tsx'
import { useFollow } from './follow.ts'
import { PendingTurn } from './pending-turn.tsx'
import styles from './transcript.module.css'
import { Turn } from './turn.tsx'

export interface TranscriptProps {
  readonly view: ConversationView
  readonly models: ModelList | undefined
  readonly ask: (query: string, models: readonly string[]) => void
  /** Goes on with an answer that ended before its time. */
  readonly onContinue: (run: string) => void
  readonly onStop: (run: string) => void
  readonly onRetry: (id: string) => void
  readonly onWithdraw: (pending: PendingRun) => void
  /** Shown instead of turns while there are none. */
  readonly children: ReactNode
}

export function Transcript({ view, models, ask, onContinue, onStop, onRetry, onWithdraw, children }: TranscriptProps) {
  const { t } = useLanguage()
  const { state, lost, pending, stopping, continuing, asked } = view
  const runs = [...lost, ...(state?.runs ?? [])]
  const revision = `${state?.position} ${pending.length} ${asked.size}`
  // Asking, and opening a conversation, scrolls to its end.
  const { scroller, content, isPinned, hasNew, pin } = useFollow(revision, `${view.session} ${asked.size}`)
  const isOneOfSeveral = runs.filter(({ status }) => status === 'streaming').length > 1
  const isEmpty = runs.length === 0 && pending.length === 0
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
          {state?.complete === false && <Note className={styles.notice}>{t.cutBeginning}</Note>}
          {runs.map((run, index) => (
            <Fragment key={run.run}>
              <Turn
                session={view.session ?? ''}
                run={run}
                models={models}
                isStopping={stopping.has(run.run)}
                continuing={continuing.get(run.run)}
                onContinue={index < lost.length ? undefined : onContinue}
                isAnchored={isLast(index) && asked.has(run.run)}
                ask={ask}
                onStop={isOneOfSeveral && run.status === 'streaming' ? onStop : undefined}
              />
              {index === lost.length - 1 && <Note className={styles.notice}>{t.lost}</Note>}
            </Fragment>
          ))}
          {pending.map((entry, index) => (
            <PendingTurn
              key={entry.id}
              pending={entry}
              isAnchored={entry.status !== 'queued' && isLast(runs.length + index) && asked.has(entry.id)}
              models={models}
              onRetry={onRetry}
              onWithdraw={onWithdraw}
            />
          ))}
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
