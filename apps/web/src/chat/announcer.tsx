/**
 * Announces the state of an answer to a screen reader: that it began, every ten seconds its length, and how it ended.
 * The transcript itself is silent, since reading out every word as it arrives makes a page unusable.
 */
import type { ChatRun } from '@millrace/client/chat'
import { useEffect, useRef, useState } from 'react'
import { type Language, useLanguage } from '../i18n/language.tsx'
import styles from '../ui/text.module.css'

const stillMs = 10_000

export interface AnnouncerProps {
  readonly run: ChatRun | undefined
  /** Asked for in this tab: then even the state in which it is first seen is news. */
  readonly isOwn: boolean
}

export function Announcer({ run, isOwn }: AnnouncerProps) {
  const language = useLanguage()
  const [words, setWords] = useState('')
  const latest = useRef(run)
  const seen = useRef(isOwn ? undefined : { run: run?.run, status: run?.status })
  useEffect(() => {
    latest.current = run
  }, [run])

  useEffect(() => {
    const before = seen.current
    seen.current = { run: run?.run, status: run?.status }
    // What was there when the page opened is read by going to it, not announced.
    if (run === undefined || (before?.run === run.run && before.status === run.status)) return
    setWords(announce(run, language))
  }, [run, language])

  const isStreaming = run?.status === 'streaming'
  useEffect(() => {
    if (!isStreaming) return
    const timer = window.setInterval(() => {
      const length = latest.current?.lanes.reduce((sum, lane) => sum + lane.text.length, 0) ?? 0
      setWords(language.t.announce.still(language.number(length)))
    }, stillMs)
    return () => window.clearInterval(timer)
  }, [isStreaming, language])

  const hasFailed = run?.status === 'failed' && words === language.t.announce.failed
  return (
    <>
      <div role="status" className={styles.hidden} data-testid="announcer">
        {hasFailed ? '' : words}
      </div>
      <div role="alert" className={styles.hidden}>
        {hasFailed ? words : ''}
      </div>
    </>
  )
}

function announce(run: ChatRun, { t }: Language): string {
  if (run.status === 'streaming') return t.announce.generating
  if (run.status === 'completed') return t.announce.ready
  if (run.status === 'waiting') return t.announce.waiting
  return run.status === 'stopped' ? t.announce.stopped : t.announce.failed
}
