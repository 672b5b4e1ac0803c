/** One call of a tool: what it is called with, as that arrives, and what came of it. Open while it is of interest. */
import type { ChatLane } from '@millrace/client/chat'
import { memo, type ReactNode } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Fold } from '../ui/fold.tsx'
import { ChevronIcon, ToolIcon } from '../ui/icons.tsx'
import { Ellipsis } from '../ui/text.tsx'
import styles from './tool-card.module.css'

export type ToolPart = Extract<ChatLane['parts'][number], { type: 'tool' }>

/** More than this is no help to a reader, and a page would be slow with it. */
const shownMax = 20_000

/** Not rendered again for each word after it: what it was called with and what it returned may be long, and are written as JSON. */
export const ToolCard = memo(function ToolCard({ tool, children }: { tool: ToolPart; children?: ReactNode }) {
  const { t } = useLanguage()
  const { state } = tool
  const isOfInterest = state === 'streaming' || state === 'waiting' || state === 'failed'
  const given = tool.arguments === undefined ? tool.argumentsText : show(tool.arguments)
  return (
    <Fold
      className={styles.card}
      isOpen={isOfInterest}
      data-testid="tool"
      data-tool={tool.name}
      data-state={state}
      summary={
        <>
          <ToolIcon size={14} />
          <Ellipsis>{tool.name}</Ellipsis>
          <span className={styles.state}>{t.tools.states[shownState(tool)]}</span>
          <ChevronIcon size={14} />
        </>
      }
    >
      <div className={styles.body}>
        {given !== undefined && <Block label={t.tools.arguments} text={given} />}
        {tool.value !== undefined && (
          <Block label={state === 'failed' || state === 'rejected' ? t.tools.reason : t.tools.result} text={show(tool.value)} />
        )}
        {children}
      </div>
    </Fold>
  )
})

function shownState({ state, preliminary, decision }: ToolPart) {
  if (preliminary) return 'preliminary'
  return decision?.decision === 'withdraw' ? 'withdrawn' : state
}

function Block({ label, text }: { label: string; text: string }) {
  return (
    <div>
      <div className={styles.label}>{label}</div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and without it a keyboard could not reach its end */}
      <pre className={styles.json} tabIndex={0} dir="ltr" translate="no">
        {text.length > shownMax ? `${text.slice(0, shownMax)}…` : text}
      </pre>
    </div>
  )
}

/** A text is shown as it is, everything else as JSON. */
function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2)
}
