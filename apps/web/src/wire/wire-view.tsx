/**
 * The events of one answer as they came over the wire: when, over which transport, with which position, how large. The browser's
 * own dialog, as with the list of conversations on a phone.
 */
import type { Session } from '@millrace/client'
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Button } from '../ui/button.tsx'
import { CopyButton } from '../ui/copy-button.tsx'
import { CloseIcon } from '../ui/icons.tsx'
import { usePressOutside } from '../ui/press-outside.ts'
import { Note } from '../ui/text.tsx'
import { eventsOf } from './events-of.ts'
import styles from './wire.module.css'
import type { About, WireEvent, WireLog } from './wire-log.ts'

export interface WireViewProps {
  readonly wire: WireLog
  readonly session: Session
  readonly run: string
  readonly lane: string
  readonly onClose: () => void
}

/** More rows help no reader, and a dialog would be slow with them. */
const rowsMax = 500

export default function WireView({ wire, session, run, lane, onClose }: WireViewProps) {
  const { t, number, bytes } = useLanguage()
  const dialog = useRef<HTMLDialogElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const [replay, readAgain] = useReplay(wire, session, run)
  useSyncExternalStore(wire.subscribe, () => wire.count)
  const events = eventsOf(wire.read(replay.after), session.id, run, lane)
  useEffect(() => dialog.current?.showModal(), [])
  // By the dialog, so that the focus goes back to where it was.
  const close = useCallback(() => dialog.current?.close(), [])
  usePressOutside(content, close)
  const size = events.reduce((sum, event) => sum + event.size, 0)
  const isWhole = events[0]?.type === 'stream_start'
  return (
    <dialog ref={dialog} className={styles.dialog} aria-label={t.wire.title} data-testid="wire" onClose={onClose}>
      <div ref={content} className={styles.content}>
        <header className={styles.header}>
          <h2 className={styles.title}>{t.wire.title}</h2>
          <span className={styles.facts}>{t.wire.summary(number(events.length), bytes(size))}</span>
          <CopyButton text={() => toLines(events)} label={t.wire.copy} isDisabled={events.length === 0} />
          <Button look="icon" aria-label={t.wire.close} title={t.wire.close} onClick={close}>
            <CloseIcon size={18} />
          </Button>
        </header>
        {!isWhole && (
          <Note className={styles.note}>
            {t.wire.incomplete}
            <Button look="small" disabled={replay.isReading} data-testid="wire-read" onClick={readAgain}>
              {t.wire.read}
            </Button>
          </Note>
        )}
        {replay.hasFailed && <Note className={styles.note}>{t.wire.failed}</Note>}
        {events.length > rowsMax && <Note className={styles.note}>{t.wire.cut(number(rowsMax))}</Note>}
        {events.length > 0 && <Table events={events} />}
      </div>
    </dialog>
  )
}

function Table({ events }: { events: readonly WireEvent[] }) {
  const { t, duration, bytes } = useLanguage()
  const { columns } = t.wire
  const first = Math.max(0, events.length - rowsMax)
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and without it a keyboard could not reach its end
    <section className={styles.scroller} tabIndex={0} aria-label={t.wire.title}>
      <table className={styles.table} dir="ltr">
        <thead>
          <tr>
            <th className={styles.detail}>{columns.time}</th>
            <th className={styles.number}>{columns.after}</th>
            <th className={styles.detail}>{columns.id}</th>
            <th>{columns.type}</th>
            <th className={styles.number}>{columns.size}</th>
            <th className={styles.detail}>{columns.transport}</th>
            <th>{columns.data}</th>
          </tr>
        </thead>
        <tbody translate="no">
          {events.slice(first).map((event, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: events have no identity but their place: one may come twice
            <tr key={first + index} data-testid="wire-event" data-repeated={event.isRepeated || undefined}>
              <td className={styles.detail}>{timeOf(event.receivedAt)}</td>
              <td className={styles.number}>+{duration(event.receivedAt - (events[first + index - 1] ?? event).receivedAt)}</td>
              <td className={styles.detail} title={event.id}>
                {event.id}
              </td>
              <td>
                {event.type}
                {event.isRepeated && ` (${t.wire.repeated})`}
              </td>
              <td className={styles.number}>{bytes(event.size)}</td>
              <td className={styles.detail}>{t.transport.names[event.transport]}</td>
              <td className={styles.data}>{event.isCut ? t.wire.large : preview(event.data)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

interface Replay {
  /** What came before is not shown. */
  readonly after: number
  readonly isReading: boolean
  readonly hasFailed: boolean
}

/** Reads the run once more from the log, until its end or until the view is closed; its events are recorded as those of a live run. */
function useReplay(wire: WireLog, session: Session, run: string): readonly [Replay, () => void] {
  const [replay, setReplay] = useState<Replay>({ after: 0, isReading: false, hasFailed: false })
  const closing = useRef(new AbortController())
  useEffect(() => {
    closing.current = new AbortController()
    return () => closing.current.abort()
  }, [])
  const readAgain = async () => {
    const { signal } = closing.current
    setReplay({ after: wire.count, isReading: true, hasFailed: false })
    let hasFailed = false
    try {
      for await (const _ of session.runs(run)) if (signal.aborted) return
    } catch {
      hasFailed = true
    }
    if (!signal.aborted) setReplay((before) => ({ ...before, isReading: false, hasFailed }))
  }
  return [replay, () => void readAgain()]
}

/** 24 hours in every language, and milliseconds. */
function timeOf(time: number): string {
  const local = new Date(time)
  const pad = (value: number, digits = 2) => String(value).padStart(digits, '0')
  return `${pad(local.getHours())}:${pad(local.getMinutes())}:${pad(local.getSeconds())}.${pad(local.getMilliseconds(), 3)}`
}

/** Without what is the same in all of them. */
function preview(data: unknown): string {
  if (data instanceof Uint8Array) return '…'
  const { run: _, lane: __, ...rest } = data as About
  return JSON.stringify(rest).slice(0, 200)
}

/** One event per line, as JSON. */
function toLines(events: readonly WireEvent[]): string {
  return events
    .map(({ isCut, data, ...event }) => JSON.stringify(isCut || data instanceof Uint8Array ? event : { ...event, data }))
    .join('\n')
}
