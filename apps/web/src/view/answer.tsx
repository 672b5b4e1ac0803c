/** One lane: whose answer it is, what it says, how it stands, and what went wrong with it. */
import { memo, useRef } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Markdown } from '../markdown/markdown.tsx'
import type { ModelList } from '../session/api.ts'
import type { LaneState } from '../session/state.ts'
import { CopyButton } from './copy-button.tsx'
import { ErrorCard } from './error-card.tsx'
import { useHeldText } from './held-text.ts'
import { ModelName } from './model-name.tsx'
import { Reasoning } from './reasoning.tsx'
import { StatusStrip } from './status-strip.tsx'

export interface AnswerProps {
  readonly lane: LaneState
  readonly models: ModelList | undefined
  readonly isStopping: boolean
  readonly onRetry: (model: string) => void
}

export const Answer = memo(function Answer({ lane, models, isStopping, onRetry }: AnswerProps) {
  const { t } = useLanguage()
  const body = useRef<HTMLDivElement>(null)
  const text = useHeldText(lane.text, body)
  const isStreaming = lane.status === 'streaming'
  const hasFailed = lane.status === 'failed' || lane.status === 'interrupted'
  return (
    <section className="answer" data-testid="answer" data-lane={lane.lane} data-status={lane.status} aria-label={lane.lane}>
      <ModelName name={lane.model} models={models} />
      {lane.reasoning !== '' && <Reasoning text={lane.reasoning} isThinking={isStreaming && lane.text === ''} />}
      <div ref={body} data-testid="answer-text" className="answer-text">
        {text === '' && isStreaming ? (
          <span className="waiting" aria-hidden="true">
            <span />
            <span />
            <span />
          </span>
        ) : (
          <Markdown text={text} isGrowing={isStreaming} />
        )}
      </div>
      {lane.data.length > 0 && (
        <pre className="data">{lane.data.map(({ name, value }) => `${name}: ${JSON.stringify(value)}`).join('\n')}</pre>
      )}
      {hasFailed && <ErrorCard error={lane.end?.error} hasPartial={lane.text !== ''} onRetry={() => onRetry(lane.model)} />}
      <StatusStrip lane={lane} isStopping={isStopping}>
        {!isStreaming && lane.text !== '' && <CopyButton text={lane.text} label={t.copyAnswer} />}
      </StatusStrip>
    </section>
  )
})
