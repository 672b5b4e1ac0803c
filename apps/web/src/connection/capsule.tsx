/**
 * The state of the connection, always visible, in words and colour. Trouble shows after one second only:
 * a connection that is back by then is nothing a reader needs to know.
 */
import type { Chat } from '@millrace/client/chat'
import { useEffect, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { RetryIcon } from '../ui/icons.tsx'
import { Ellipsis, HiddenText } from '../ui/text.tsx'
import styles from './capsule.module.css'

export type CapsuleState = 'ready' | 'live' | 'catching-up' | 'reconnecting' | 'offline' | 'lost'

export interface ConnectionCapsuleProps {
  /** Undefined while nothing was asked: there is no stream, and what the server has answered so far says how it is. */
  readonly chat: Chat | undefined
  readonly isServerThere: boolean
  readonly onRetry: () => void
}

const patienceMs = 1_000

export function ConnectionCapsule({ chat, isServerThere, onRetry }: ConnectionCapsuleProps) {
  const language = useLanguage()
  const isOnline = useOnline()
  const state = useUnhurried(readState(chat, isOnline, isServerThere))
  const retryAt = state === 'reconnecting' ? chat?.connection.retryAt : undefined
  const content = (
    <>
      <span className={styles.dot} aria-hidden="true" />
      <HiddenText>{language.t.connection.label}: </HiddenText>
      <Ellipsis>{retryAt === undefined ? language.t.connection[state] : <Countdown key={retryAt} until={retryAt} />}</Ellipsis>
    </>
  )
  if (state !== 'reconnecting' && state !== 'offline') {
    return (
      <span data-testid="connection" data-state={state} className={styles.capsule} title={language.t.connection.label}>
        {content}
      </span>
    )
  }
  const { retryNow } = language.t.connection
  return (
    <button
      type="button"
      data-testid="connection"
      data-state={state}
      className={styles.capsule}
      title={retryNow}
      onClick={onRetry}
    >
      {content}
      <RetryIcon size={14} />
      <HiddenText>{retryNow}</HiddenText>
    </button>
  )
}

function readState(chat: Chat | undefined, isOnline: boolean, isServerThere: boolean): CapsuleState {
  if (chat === undefined) return !isOnline ? 'offline' : isServerThere ? 'ready' : 'reconnecting'
  if (chat.status === 'closed') return 'lost'
  switch (chat.connection.state) {
    case 'idle':
      return 'ready'
    case 'connecting':
      return 'catching-up'
    case 'closed':
      return 'lost'
    // A browser that believes to be offline may still hold a stream to its own machine.
    case 'reconnecting':
      return isOnline ? 'reconnecting' : 'offline'
    default:
      return chat.connection.state
  }
}

/** Good news at once, trouble after a second of it. */
function useUnhurried(state: CapsuleState): CapsuleState {
  const isGood = state === 'live' || state === 'ready'
  const [lastGood, setLastGood] = useState<CapsuleState>(isGood ? state : 'ready')
  const [isPatient, setPatient] = useState(true)
  if (isGood && lastGood !== state) setLastGood(state)
  if (isGood && !isPatient) setPatient(true)
  useEffect(() => {
    if (isGood) return
    const timer = window.setTimeout(() => setPatient(false), patienceMs)
    return () => window.clearTimeout(timer)
  }, [isGood])
  return !isGood && isPatient ? lastGood : state
}

function Countdown({ until }: { until: number }) {
  const { t, number } = useLanguage()
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 250)
    return () => window.clearInterval(timer)
  }, [])
  return t.connection.reconnectingIn(number(Math.max(0, Math.ceil((until - now) / 1000))))
}

function useOnline(): boolean {
  const [isOnline, setOnline] = useState(() => navigator.onLine)
  useEffect(() => {
    const read = () => setOnline(navigator.onLine)
    window.addEventListener('online', read)
    window.addEventListener('offline', read)
    return () => {
      window.removeEventListener('online', read)
      window.removeEventListener('offline', read)
    }
  }, [])
  return isOnline
}
