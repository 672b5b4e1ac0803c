/** One conversation in the list, and what can be done with it: opened, renamed, taken along, deleted. */
import type { ListedSession, MillraceError } from '@millrace/client'
import { type MouseEvent, type RefObject, type SyntheticEvent, useEffect, useRef, useState } from 'react'
import { useComposition } from '../composer/composition.ts'
import { useLanguage } from '../i18n/language.tsx'
import { readExport } from '../session/api.ts'
import { addressOf } from '../session/browser.ts'
import { currentToken } from '../session/sign-in.ts'
import buttons from '../ui/button.module.css'
import { Button } from '../ui/button.tsx'
import { classes } from '../ui/classes.ts'
import { DownloadIcon, MoreIcon, RenameIcon, TrashIcon } from '../ui/icons.tsx'
import styles from './row.module.css'

export interface HistoryRowProps {
  readonly session: ListedSession
  readonly isShown: boolean
  readonly onOpen: (session: string) => void
  readonly onRename: (id: string, title: string) => Promise<void>
  readonly onRemove: (id: string) => Promise<void>
}

type Mode = 'closed' | 'open' | 'renaming' | 'removing'

export function HistoryRow({ session, isShown, onOpen, onRename, onRemove }: HistoryRowProps) {
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

  const act = async (action: () => Promise<void>) => {
    setBusy(true)
    setError(undefined)
    try {
      await action()
      setMode('closed')
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
        <div className={styles.actions}>
          <Button look="quiet" data-testid="history-rename" onClick={() => setMode('renaming')}>
            <RenameIcon size={14} /> {t.history.rename}
          </Button>
          <Button look="quiet" isDangerous data-testid="history-delete" onClick={() => setMode('removing')}>
            <TrashIcon size={14} /> {t.history.delete}
          </Button>
          <ExportLink id={id} format="markdown" name="Markdown" />
          <ExportLink id={id} format="json" name="JSON" />
        </div>
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

function ExportLink({ id, format, name }: { id: string; format: 'markdown' | 'json'; name: string }) {
  const { t } = useLanguage()
  const path = `api/sessions/${encodeURIComponent(id)}/export?format=${format}`
  return (
    <a
      className={classes(buttons.button, buttons.quiet)}
      href={path}
      download
      // A link has no token.
      onClick={(event) =>
        currentToken() !== undefined && saveWithToken(event, path, `${id}.${format === 'json' ? 'json' : 'md'}`)
      }
      aria-label={t.history.exportAs(name)}
      title={t.history.exportAs(name)}
      data-testid={`history-${format}`}
    >
      <DownloadIcon size={14} /> {name}
    </a>
  )
}

function saveWithToken(event: MouseEvent, path: string, name: string): void {
  event.preventDefault()
  void readExport(path).then((file) => {
    if (file === undefined) return
    const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(file), download: name })
    link.click()
    URL.revokeObjectURL(link.href)
  })
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
