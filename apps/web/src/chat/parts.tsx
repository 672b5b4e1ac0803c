/** What an answer is made of, in the order in which it came: thoughts, text, calls of tools, files, data and sources. */
import type { CallDecision, Session } from '@millrace/client'
import type { ChatLane } from '@millrace/client/chat'
import { lazy, memo, Suspense, useRef } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { vetLink } from '../markdown/inline.tsx'
import { Markdown } from '../markdown/markdown.tsx'
import styles from './answer.module.css'
import { Approval } from './approval.tsx'
import { File } from './files.tsx'
import { Reasoning } from './reasoning.tsx'
import { useTextWhileSelecting } from './text-while-selecting.ts'
import { ToolCard } from './tool-card.tsx'

const JsonText = lazy(() => import('../json/json-text.tsx'))

export type LanePart = ChatLane['parts'][number]

export interface PartsProps {
  readonly lane: ChatLane
  readonly session: Session
  /** Its text was asked for as JSON. */
  readonly isJson: boolean
  /** Undefined where nothing can be decided any more. */
  readonly onDecide: ((decision: CallDecision) => Promise<unknown>) | undefined
}

export function Parts({ lane, onDecide, ...props }: PartsProps) {
  const isStreaming = lane.status === 'streaming'
  const last = lane.parts.findLastIndex(({ type }) => type !== 'source')
  const isSilent = isStreaming && ['step', 'tool', undefined].includes(lane.parts[last]?.type)
  return (
    <>
      {lane.parts.map((part, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: parts are added at the end only
        <Part key={index} {...props} {...{ part, lane, onDecide }} isGrowing={isStreaming && index === last} />
      ))}
      <Sources parts={lane.parts} />
      {isSilent && (
        <span className={styles.waiting} aria-hidden="true">
          <span />
          <span />
          <span />
        </span>
      )}
    </>
  )
}

interface PartProps extends PartsProps {
  readonly part: LanePart
  readonly isGrowing: boolean
}

function Part({ part, lane, session, isJson, onDecide, isGrowing }: PartProps) {
  switch (part.type) {
    case 'text':
      return <Text text={part.text} isStreaming={isGrowing} isJson={isJson} />
    case 'reasoning':
      return <Reasoning text={part.text} isThinking={isGrowing} durationMs={thoughtMs(lane)} />
    case 'tool':
      return (
        <ToolCard tool={part}>
          {part.state === 'waiting' && part.approval !== undefined && onDecide !== undefined && lane.status === 'waiting' && (
            <Approval tool={part} onDecide={onDecide} />
          )}
        </ToolCard>
      )
    case 'data':
      return <Data part={part} />
    case 'file': {
      const file = lane.files.find(({ position }) => position === part.position)
      return file === undefined ? null : <File file={file} session={session} />
    }
    default:
      return null
  }
}

/** Of a lane that has thought once: the server measures all of its thoughts together. */
function thoughtMs({ parts, timings, status }: ChatLane): number | undefined {
  const isOnce = parts.filter(({ type }) => type === 'reasoning').length === 1
  return isOnce && status !== 'streaming' ? timings?.reasoningMs : undefined
}

/** As a tool's card: not for each word after it. */
const Data = memo(function Data({ part }: { part: Extract<LanePart, { type: 'data' }> }) {
  return <pre className={styles.data}>{`${part.name}: ${JSON.stringify(part.value)}`}</pre>
})

interface TextProps {
  readonly text: string
  readonly isStreaming: boolean
  readonly isJson: boolean
}

const Text = memo(function Text({ text: said, isStreaming, isJson }: TextProps) {
  const body = useRef<HTMLDivElement>(null)
  const [text, isGrowing] = useTextWhileSelecting(said, body, isStreaming)
  const plain = <Markdown text={text} isGrowing={isGrowing} />
  return (
    <div ref={body} data-testid="answer-text" className={styles.text}>
      {isJson ? (
        <Suspense fallback={plain}>
          <JsonText text={text} isGrowing={isGrowing} />
        </Suspense>
      ) : (
        plain
      )}
    </div>
  )
})

function Sources({ parts }: { parts: readonly LanePart[] }) {
  const { t } = useLanguage()
  const sources = parts.filter((part) => part.type === 'source')
  if (sources.length === 0) return null
  return (
    <ol className={styles.sources} aria-label={t.sources}>
      {sources.map(({ source, url = '', title = url }) => {
        const href = vetLink(url, document.baseURI)
        return (
          <li key={source}>
            {href === undefined ? (
              title
            ) : (
              <a href={href} target="_blank" rel="nofollow noopener noreferrer">
                {title}
              </a>
            )}
          </li>
        )
      })}
    </ol>
  )
}
