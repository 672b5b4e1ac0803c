/** Answers side by side where there is room, or one of them alone; on a phone one at a time, to swipe or to choose above. */
import type { ChatRun } from '@millrace/client/chat'
import { type ReactNode, useRef, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { useWide } from '../settings/wide.ts'
import { Ellipsis, HiddenText } from '../ui/text.tsx'
import { shortenName } from './short-name.ts'
import { PhaseDot } from './status-strip.tsx'
import styles from './turn.module.css'

export interface LanesProps {
  readonly run: ChatRun
  /** The one that is shown alone where there is room for all. */
  readonly focused: string | undefined
  readonly onFocus: (lane: string) => void
  /** The answers, in the order of the run's lanes. */
  readonly children: ReactNode
}

export function Lanes({ run, focused, onFocus, children }: LanesProps) {
  const { t } = useLanguage()
  const isWide = useWide()
  const strip = useRef<HTMLElement>(null)
  const [swiped, setSwiped] = useState(0)
  const focusedIndex = run.lanes.findIndex(({ lane }) => lane === focused)
  const current = isWide ? focusedIndex : swiped
  const show = (lane: string, index: number) => {
    if (isWide) onFocus(lane)
    const element = strip.current
    element?.scrollTo({ left: index * element.clientWidth, behavior: 'auto' })
  }
  const focus = focusedIndex === -1 ? undefined : focusedIndex
  return (
    <>
      <div className={styles.tabs} data-focus={focus}>
        {run.lanes.map(({ lane, status }, index) => (
          <button
            key={lane}
            type="button"
            aria-pressed={index === current}
            title={lane}
            data-lane={lane}
            onClick={() => show(lane, index)}
            className={styles.tab}
            data-testid="lane-tab"
          >
            <PhaseDot phase={status} />
            <Ellipsis aria-hidden="true">{shortenName(lane, 18)}</Ellipsis>
            <HiddenText>{lane}</HiddenText>
          </button>
        ))}
      </div>
      <section
        ref={strip}
        aria-label={t.lanes}
        className={styles.lanes}
        data-count={run.lanes.length}
        data-focus={focus}
        data-swiped={swiped}
        onScroll={({ currentTarget }) => setSwiped(Math.round(currentTarget.scrollLeft / Math.max(1, currentTarget.clientWidth)))}
      >
        {children}
      </section>
    </>
  )
}
