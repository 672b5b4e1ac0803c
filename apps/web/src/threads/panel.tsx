/** Which conversations there are: beside this one, or over it where there is no room beside it. */
import type { Client, ListedSession } from '@millrace/client'
import { type ReactNode, useEffect, useRef } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { CloseIcon } from '../ui/icons.tsx'
import { usePressOutside } from '../ui/press-outside.ts'
import { type Day, dayOf, days } from './day.ts'
import { HistoryRow } from './row.tsx'
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

export function HistoryPanel({ client, session, news, isWide, onOpen, onClose }: HistoryPanelProps) {
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
      <header className="flex shrink-0 items-center justify-between pt-3 pr-2 pb-1 pl-4">
        <h2 className="text-sm font-semibold">{t.history.label}</h2>
        <button type="button" className="icon-button" aria-label={t.history.close} title={t.history.close} onClick={onClose}>
          <CloseIcon size={18} />
        </button>
      </header>
      <div ref={list} className="history-list" tabIndex={-1}>
        {hasFailed && (
          <p role="alert" className="history-note">
            {t.history.failed}{' '}
            <button type="button" className="link-button" onClick={history.reload}>
              {t.retry}
            </button>
          </p>
        )}
        {sessions === undefined && !hasFailed && <p className="history-note pending-note">{t.history.loading}</p>}
        {sessions?.length === 0 && <p className="history-note">{t.history.empty}</p>}
        {byDay(sessions ?? []).map(([day, some]) => (
          <section key={day} aria-labelledby={`history-${day}`}>
            <h3 id={`history-${day}`} className="history-day">
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
                />
              ))}
            </ul>
          </section>
        ))}
        {hasMore && (
          <button type="button" className="quiet-button mx-3 my-2" onClick={history.readMore}>
            {t.history.more}
          </button>
        )}
      </div>
    </Frame>
  )
}

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
    <aside className="history" aria-label={label} data-testid="history">
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
    <dialog ref={dialog} className="history history-dialog" aria-label={label} data-testid="history" onClose={onClose}>
      <div ref={content} className="flex h-full min-h-0 flex-col">
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
