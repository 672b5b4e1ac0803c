/**
 * What a model thought before it answered, folded away. It is open while there is nothing else to
 * read, folds when the answer begins, and from the first time the reader opens or closes it, only
 * the reader decides.
 */
import { useLayoutEffect, useRef, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { ChevronIcon } from '../ui/icons.tsx'
import styles from './answer.module.css'

export interface ReasoningProps {
  readonly text: string
  readonly isThinking: boolean
  /** By the server's clock, so that it is the same after a reload; undefined until the answer has ended. */
  readonly durationMs: number | undefined
}

export function Reasoning({ text, isThinking, durationMs }: ReasoningProps) {
  const { t, duration } = useLanguage()
  const [chosen, setChosen] = useState<boolean>()
  const body = useRef<HTMLDivElement>(null)
  const isOpen = chosen ?? isThinking

  useLayoutEffect(() => {
    const element = body.current
    if (element === null || text === '' || !isThinking) return
    // Its own scroller yields as well: only while its end is in view does it follow.
    if (element.scrollHeight - element.scrollTop - element.clientHeight < 60) element.scrollTop = element.scrollHeight
  }, [text, isThinking])

  return (
    <details className={styles.reasoning} open={isOpen}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a summary is a button to every browser and reader */}
      <summary
        onClick={(event) => {
          // React owns `open`; the element toggling it as well would make two owners.
          event.preventDefault()
          setChosen(!isOpen)
        }}
      >
        <ChevronIcon size={14} />
        {isThinking ? t.reasoningLive : durationMs === undefined ? t.reasoning : t.thoughtFor(duration(durationMs))}
      </summary>
      <div ref={body} className={styles.thoughts} dir="auto" translate={isThinking ? 'no' : undefined}>
        {text}
      </div>
    </details>
  )
}
