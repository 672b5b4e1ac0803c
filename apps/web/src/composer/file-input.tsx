/** Two ways in for files, beside pasting: a button, and dropping them on the composer. */
import { type ReactNode, useRef, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Button } from '../ui/button.tsx'
import { AttachIcon } from '../ui/icons.tsx'
import styles from './composer.module.css'

export interface FileInputProps {
  readonly onFiles: (files: Iterable<File>) => void
}

export function AttachButton({ onFiles }: FileInputProps) {
  const { t } = useLanguage()
  const chooser = useRef<HTMLInputElement>(null)
  return (
    <>
      <input
        ref={chooser}
        type="file"
        multiple
        hidden
        data-testid="file-input"
        onChange={(event) => {
          onFiles(event.target.files ?? [])
          // The same file can be chosen again.
          event.target.value = ''
        }}
      />
      <Button
        look="icon"
        className={styles.attach}
        aria-label={t.attachments.add}
        title={t.attachments.add}
        data-testid="attach"
        onClick={() => chooser.current?.click()}
      >
        <AttachIcon size={18} />
      </Button>
    </>
  )
}

export function DropArea({ onFiles, children }: FileInputProps & { readonly children: ReactNode }) {
  const [isDraggedOver, setDraggedOver] = useState(false)
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is one of three ways, and the button is for everybody
    <div
      className={styles.composer}
      data-dragged={isDraggedOver || undefined}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes('Files')) return
        event.preventDefault()
        setDraggedOver(true)
      }}
      onDragLeave={() => setDraggedOver(false)}
      onDrop={(event) => {
        setDraggedOver(false)
        if (event.dataTransfer.files.length === 0) return
        event.preventDefault()
        onFiles(event.dataTransfer.files)
      }}
    >
      {children}
    </div>
  )
}
