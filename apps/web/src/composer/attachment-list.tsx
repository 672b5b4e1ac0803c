/** The files of the next question: how far each is, what is wrong with it, and the way to take it off. */
import { useLanguage } from '../i18n/language.tsx'
import { CloseIcon, FileIcon } from '../ui/icons.tsx'
import { Ellipsis } from '../ui/text.tsx'
import styles from './attachments.module.css'
import type { Attachment } from './use-attachments.ts'

export interface AttachmentListProps {
  readonly list: readonly Attachment[]
  readonly onRemove: (id: number) => void
}

export function AttachmentList({ list, onRemove }: AttachmentListProps) {
  const { t, bytes, number } = useLanguage()
  if (list.length === 0) return null
  return (
    <ul className={styles.list} aria-label={t.attachments.label}>
      {list.map(({ id, name, size, progress, uploaded, error }) => {
        const state = error ? 'failed' : uploaded ? 'done' : 'uploading'
        return (
          <li key={id} className={styles.file} data-testid="attachment" data-state={state}>
            <FileIcon />
            <span className={styles.words}>
              <Ellipsis title={name}>
                <bdi>{name}</bdi>
              </Ellipsis>
              {error === undefined ? (
                <span className={styles.detail}>
                  {uploaded ? bytes(size) : t.attachments.progress(number(Math.floor(100 * progress)))}
                </span>
              ) : (
                <span className={styles.problem} role="alert">
                  {t.error.titles[error.code] ?? error.message}
                </span>
              )}
            </span>
            <button
              type="button"
              className={styles.remove}
              aria-label={t.attachments.remove(name)}
              title={t.attachments.remove(name)}
              onClick={() => onRemove(id)}
            >
              <CloseIcon size={14} />
            </button>
            {state === 'uploading' && <progress className={styles.bar} aria-label={name} value={progress} />}
          </li>
        )
      })}
    </ul>
  )
}
