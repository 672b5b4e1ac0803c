/**
 * A file of an answer: a picture as it is, everything else to be saved. What it holds is a stranger's: only
 * what a browser draws without running it is shown, and all else is bytes without a type, which no tab renders.
 */
import type { MillraceError, Session } from '@millrace/client'
import type { ChatFile } from '@millrace/client/chat'
import { download } from '@millrace/client/files'
import { useEffect, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { FileIcon } from '../ui/icons.tsx'
import { Ellipsis, HiddenText } from '../ui/text.tsx'
import styles from './answer.module.css'

const retryLongestMs = 30_000
const drawn: readonly string[] = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif']

export function File({ file, session }: { file: ChatFile; session: Session }) {
  const { t, bytes } = useLanguage()
  const [isBroken, setBroken] = useState(false)
  const isDrawn = drawn.includes(file.mediaType) && !isBroken
  const url = useUrl(file, session, isDrawn ? file.mediaType : 'application/octet-stream')
  const name = file.name ?? t.files.unnamed
  if (isDrawn && url !== undefined)
    return <img className={styles.image} src={url} alt={file.name ?? t.files.picture} onError={() => setBroken(true)} />
  return (
    <a className={styles.file} data-testid="file" href={url} download={name}>
      <FileIcon />
      <HiddenText>{t.files.save}</HiddenText>
      <Ellipsis>
        <bdi>{name}</bdi>
      </Ellipsis>
      <span className={styles.size}>{bytes(file.size)}</span>
    </a>
  )
}

/** Undefined until the bytes are there. The browser keeps them until the address is revoked. */
function useUrl({ bytes, position }: ChatFile, session: Session, type: string): string | undefined {
  const [url, setUrl] = useState<string>()
  useEffect(() => {
    const abort = new AbortController()
    const { signal } = abort
    const show = (content: BlobPart) => {
      const own = URL.createObjectURL(new Blob([content], { type }))
      signal.addEventListener('abort', () => URL.revokeObjectURL(own))
      setUrl(own)
    }
    const read = async (retryMs: number) => {
      try {
        show(await download(session, position, { signal }))
      } catch (error) {
        // It is no longer kept.
        if (signal.aborted || !(error as MillraceError).retryable) return
        const timer = setTimeout(() => void read(Math.min(retryLongestMs, 2 * retryMs)), retryMs * (0.5 + Math.random() / 2))
        signal.addEventListener('abort', () => clearTimeout(timer))
      }
    }
    if (bytes === undefined) void read(1_000)
    else show(bytes)
    return () => {
      abort.abort()
      setUrl(undefined)
    }
  }, [bytes, position, session, type])
  return url
}
