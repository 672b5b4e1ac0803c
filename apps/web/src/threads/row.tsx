/** One conversation in the list, and what can be done with it: opened, renamed, taken along, deleted. */
import type { ListedSession, MillraceError } from '@millrace/client'
import { type MouseEvent, type RefObject, type SyntheticEvent, useEffect, useRef, useState } from 'react'
import { useComposition } from '../composer/composition.ts'
import { useLanguage } from '../i18n/language.tsx'
import { Button } from '../ui/button.tsx'
import { DownloadIcon, MoreIcon, RenameIcon, TrashIcon } from '../ui/icons.tsx'
import { saveFile } from '../ui/save-file.ts'
import { addressOf } from './address.ts'
import styles from './row.module.css'

export interface HistoryRowProps {
  readonly session: ListedSession
  readonly isShown: boolean
  readonly onOpen: (session: string) => void
  readonly onRename: (id: string, title: string) => Promise<void>
  readonly onRemove: (id: string) => Promise<void>
  readonly onExport: (id: string, format: 'markdown' | 'json') => Promise<string>
}

const formats = [
  { format: 'markdown', name: 'Markdown', ending: 'md' },
  { format: 'json', name: 'JSON', ending: 'json' },
] as const

type Mode = 'closed' | 'open' | 'renaming' | 'removing'

export function HistoryRow({ session, isShown, onOpen, onRename, onRemove, onExport }: HistoryRowProps) {
  const { t } = useLanguage()
  const { id, title } = session
  const [mode, change] = useState<Mode>('closed')
  const [error, setError] = useState<string>()
  const [isBusy, setBusy] = useState(false)
  const more = useRef<HTMLButtonElement>(null)
  const keep = useRef<HTMLButtonElement>(null)
  const wasUsed = useRef(false)
  useEffect(() => {
    // Enter pressed by mistake must not delete.
    if (mode === 'removing') keep.current?.focus()
    // The field that had the focus is gone; it stays where somebody has taken it since.
    if (mode === 'closed' && wasUsed.current && document.activeElement === document.body) more.current?.focus()
  }, [mode])
  const setMode = (next: Mode) => {
    wasUsed.current = true
    change(next)
  }

  const act = async (action: () => Promise<void>, next: Mode = 'closed') => {
    setBusy(true)
    setError(undefined)
    try {
      await action()
      setMode(next)
    } catch (cause) {
      const { code } = cause as MillraceError
      setError(code === 'unreachable' ? t.history.unreachable : t.error.generic)
    }
    setBusy(false)
  }
  const close = () => {
    setMode('closed')
    setError(undefined)
  }
  const open = (event: MouseEvent) => {
    // As a link it can also be opened in a tab of its own.
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    onOpen(id)
  }

  const name = title === '' ? t.history.untitled : title
  return (
    <li className={styles.row} data-testid="history-row" data-session={id} data-open={mode !== 'closed'}>
      {mode === 'renaming' ? (
        <TitleField title={title} isBusy={isBusy} onSave={(next) => void act(() => onRename(id, next))} onCancel={close} />
      ) : (
        <div className={styles.line}>
          <a
            className={styles.title}
            href={addressOf(id)}
            aria-current={isShown ? 'page' : undefined}
            title={name}
            onClick={open}
          >
            {name}
          </a>
          <Button
            ref={more}
            look="icon"
            className={styles.more}
            aria-expanded={mode !== 'closed'}
            aria-label={t.history.actions(name)}
            title={t.history.actionsShort}
            data-testid="history-more"
            onClick={() => (mode === 'closed' ? setMode('open') : close())}
          >
            <MoreIcon size={18} />
          </Button>
        </div>
      )}
      {mode === 'open' && (
        <Actions
          isBusy={isBusy}
          onRename={() => setMode('renaming')}
          onRemove={() => setMode('removing')}
          onExport={({ format, ending }) => void act(async () => saveFile(await onExport(id, format), `${id}.${ending}`), 'open')}
        />
      )}
      {mode === 'removing' && (
        <ConfirmRemoval keep={keep} isBusy={isBusy} onConfirm={() => void act(() => onRemove(id))} onCancel={close} />
      )}
      {error !== undefined && (
        <p role="alert" className={styles.problem}>
          {error}
        </p>
      )}
    </li>
  )
}

interface ActionsProps {
  readonly isBusy: boolean
  readonly onRename: () => void
  readonly onRemove: () => void
  readonly onExport: (as: (typeof formats)[number]) => void
}

function Actions({ isBusy, onRename, onRemove, onExport }: ActionsProps) {
  const { t } = useLanguage()
  return (
    <div className={styles.actions}>
      <Button look="quiet" data-testid="history-rename" onClick={onRename}>
        <RenameIcon size={14} /> {t.history.rename}
      </Button>
      <Button look="quiet" isDangerous data-testid="history-delete" onClick={onRemove}>
        <TrashIcon size={14} /> {t.history.delete}
      </Button>
      {formats.map((as) => (
        <Button
          key={as.format}
          look="quiet"
          disabled={isBusy}
          onClick={() => onExport(as)}
          aria-label={t.history.exportAs(as.name)}
          title={t.history.exportAs(as.name)}
          data-testid={`history-${as.format}`}
        >
          <DownloadIcon size={14} /> {as.name}
        </Button>
      ))}
    </div>
  )
}

interface ConfirmRemovalProps {
  readonly keep: RefObject<HTMLButtonElement | null>
  readonly isBusy: boolean
  readonly onConfirm: () => void
  readonly onCancel: () => void
}

function ConfirmRemoval({ keep, isBusy, onConfirm, onCancel }: ConfirmRemovalProps) {
  const { t } = useLanguage()
  return (
    <fieldset className={styles.actions}>
      <legend className={styles.question}>{t.history.confirm}</legend>
      <Button look="quiet" isDangerous data-testid="history-confirm" disabled={isBusy} onClick={onConfirm}>
        <TrashIcon size={14} /> {t.history.deletePermanently}
      </Button>
      <Button ref={keep} look="quiet" onClick={onCancel}>
        {t.history.keep}
      </Button>
    </fieldset>
  )
}

interface TitleFieldProps {
  readonly title: string
  readonly isBusy: boolean
  readonly onSave: (title: string) => void
  readonly onCancel: () => void
}

function TitleField({ title, isBusy, onSave, onCancel }: TitleFieldProps) {
  const { t } = useLanguage()
  const field = useRef<HTMLInputElement>(null)
  const composition = useComposition()
  useEffect(() => field.current?.select(), [])
  const save = (event: SyntheticEvent) => {
    event.preventDefault()
    if (isBusy) return
    const next = field.current?.value.trim() ?? ''
    // A conversation without a name could not be found again.
    if (next === '' || next === title) onCancel()
    else onSave(next)
  }
  return (
    <form className={styles.form} onSubmit={save}>
      <input
        ref={field}
        className={styles.field}
        defaultValue={title}
        maxLength={200}
        readOnly={isBusy}
        aria-label={t.history.rename}
        data-testid="history-title"
        onBlur={save}
        onCompositionEnd={composition.onCompositionEnd}
        onKeyDown={(event) => {
          // Neither saved nor closed, also by the browser itself: Enter sends a form, Escape ends a dialog.
          if (composition.owns(event) && ['Enter', 'Escape'].includes(event.key)) return event.preventDefault()
          if (event.key !== 'Escape') return
          // Of this field, and not of the dialog around it.
          event.preventDefault()
          event.stopPropagation()
          onCancel()
        }}
      />
    </form>
  )
}
