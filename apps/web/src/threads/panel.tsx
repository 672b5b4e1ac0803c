/** Which conversations there are: beside this one, or over it where there is no room beside it. */
import type { Client, ListedSession } from '@millrace/client'
import { memo, type ReactNode, useEffect, useRef } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Button } from '../ui/button.tsx'
import { classes } from '../ui/classes.ts'
import { CloseIcon } from '../ui/icons.tsx'
import { usePressOutside } from '../ui/press-outside.ts'
import { Note } from '../ui/text.tsx'
import { type Day, dayOf, days } from './day.ts'
import { HistoryRow } from './row.tsx'
import styles from './threads.module.css'
import { useHistory } from './use-history.ts'

export interface HistoryPanelProps {
  readonly client: Client
  /** The session that is shown. */
  readonly session: string | undefined
  /** Changes when something was asked. */
  readonly news: string
  readonly isWide: boolean
  /** Undefined: an empty page, because the one that was shown was deleted. */
  readonly onOpen: (session: string | undefined) => void
  readonly onClose: () => void
}

export const HistoryPanel = memo(function HistoryPanel(props: HistoryPanelProps) {
  const { client, session, news, isWide, onOpen, onClose } = props
  const { t } = useLanguage()
  const history = useHistory(client, news)
  const { sessions, hasMore, hasFailed } = history
  const list = useRef<HTMLDivElement>(null)
  const remove = async (id: string) => {
    await history.remove(id)
    // The button that had the focus is gone.
    list.current?.focus({ preventScroll: true })
    if (id === session) onOpen(undefined)
  }
  return (
    <Frame isWide={isWide} label={t.history.label} onClose={onClose}>
      <header className={styles.header}>
        <h2 className={styles.title}>{t.history.label}</h2>
        <Button look="icon" aria-label={t.history.close} title={t.history.close} onClick={onClose}>
          <CloseIcon size={18} />
        </Button>
      </header>
      <div ref={list} className={styles.list} tabIndex={-1}>
        {hasFailed && (
          <div role="alert">
            <Note className={styles.note}>
              {t.history.failed}
              <Button look="link" onClick={history.reload}>
                {t.retry}
              </Button>
            </Note>
          </div>
        )}
        {sessions === undefined && !hasFailed && (
          <Note isLate className={styles.note}>
            {t.history.loading}
          </Note>
        )}
        {sessions?.length === 0 && <Note className={styles.note}>{t.history.empty}</Note>}
        {byDay(sessions ?? []).map(([day, some]) => (
          <section key={day} aria-labelledby={`history-${day}`}>
            <h3 id={`history-${day}`} className={styles.day}>
              {t.history.days[day]}
            </h3>
            <ul>
              {some.map((one) => (
                <HistoryRow
                  key={one.id}
                  session={one}
                  isShown={one.id === session}
                  onOpen={onOpen}
                  onRename={history.rename}
                  onRemove={remove}
                  onExport={history.exportAs}
                />
              ))}
            </ul>
          </section>
        ))}
        {hasMore && (
          <Button look="quiet" className={styles.older} onClick={history.readMore}>
            {t.history.more}
          </Button>
        )}
      </div>
    </Frame>
  )
})

interface FrameProps {
  readonly isWide: boolean
  readonly label: string
  readonly onClose: () => void
  readonly children: ReactNode
}

function Frame({ isWide, label, onClose, children }: FrameProps) {
  if (!isWide)
    return (
      <Dialog label={label} onClose={onClose}>
        {children}
      </Dialog>
    )
  return (
    <aside className={styles.panel} aria-label={label} data-testid="history">
      {children}
    </aside>
  )
}

/** The browser's own: it keeps the focus, ends with Escape, and leaves the rest of the page alone. */
function Dialog({ label, onClose, children }: Omit<FrameProps, 'isWide'>) {
  const dialog = useRef<HTMLDialogElement>(null)
  const content = useRef<HTMLDivElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  usePressOutside(content, onClose)
  return (
    <dialog
      ref={dialog}
      className={classes(styles.panel, styles.dialog)}
      aria-label={label}
      data-testid="history"
      onClose={onClose}
    >
      <div ref={content} className={styles.content}>
        {children}
      </div>
    </dialog>
  )
}

function byDay(sessions: readonly ListedSession[]): [Day, ListedSession[]][] {
  const now = Date.now()
  return days
    .map((day): [Day, ListedSession[]] => [day, sessions.filter(({ updatedAt }) => dayOf(updatedAt, now) === day)])
    .filter(([, some]) => some.length > 0)
}
