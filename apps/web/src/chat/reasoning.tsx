/**
 * What a model thought before it answered, folded away. It is open while there is nothing else to
 * read, and folds when the answer begins.
 */
import { useLayoutEffect, useRef } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Fold } from '../ui/fold.tsx'
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
  const body = useRef<HTMLDivElement>(null)

  useLayoutEffect(() => {
    const element = body.current
    if (element === null || text === '' || !isThinking) return
    // Its own scroller yields as well: only while its end is in view does it follow.
    if (element.scrollHeight - element.scrollTop - element.clientHeight < 60) element.scrollTop = element.scrollHeight
  }, [text, isThinking])

  return (
    <Fold
      className={styles.reasoning}
      isOpen={isThinking}
      summary={
        <>
          <ChevronIcon size={14} />
          {isThinking ? t.reasoningLive : durationMs === undefined ? t.reasoning : t.thoughtFor(duration(durationMs))}
        </>
      }
    >
      <div ref={body} className={styles.thoughts} dir="auto" translate={isThinking ? 'no' : undefined}>
        {text}
      </div>
    </Fold>
  )
}
