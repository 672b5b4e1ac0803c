/** The whole page: header, conversation, composer. */
import type { Client } from '@millrace/client'
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { Announcer } from './chat/announcer.tsx'
import { Empty } from './chat/empty.tsx'
import { Transcript } from './chat/transcript.tsx'
import composer from './composer/composer.module.css'
import { Composer } from './composer/composer.tsx'
import { useModels } from './composer/use-models.ts'
import { ConnectionCapsule } from './connection/capsule.tsx'
import { TransportMenu } from './connection/transport-menu.tsx'
import { useLanguage } from './i18n/language.tsx'
import { addressOf } from './session/browser.ts'
import type { Conversation } from './session/conversation.ts'
import type { PendingRun } from './session/outbox.ts'
import type { ConversationView } from './session/view.ts'
import { HistoryPanel } from './threads/panel.tsx'
import { usePanel } from './threads/use-panel.ts'
import { Header } from './ui/header.tsx'
import layout from './ui/layout.module.css'
import { Message } from './ui/message.tsx'
import { Note } from './ui/text.tsx'

export function App({ conversation, client }: { conversation: Conversation; client: Client }) {
  const view = useSyncExternalStore(conversation.subscribe, conversation.getView)
  const models = useModels()
  const { chosen } = models
  const field = useRef<HTMLTextAreaElement>(null)
  const [returned, setReturned] = useState<PendingRun>()

  const ask = useCallback(
    (query: string, asked?: readonly string[]) => {
      conversation.ask(query, asked ?? chosen)
      focusPolitely(field.current)
    },
    [conversation, chosen],
  )
  const goOn = useCallback(
    (run: string) => {
      conversation.resume(run)
      // The button disappears: without this, the focus of a keyboard would be lost.
      focusPolitely(field.current)
    },
    [conversation],
  )
  const panel = usePanel()
  const show = (session: string | undefined) => {
    panel.leave()
    if (session === view.session && session !== undefined) return
    window.history.pushState(null, '', addressOf(session))
    conversation.open(session)
    focusPolitely(field.current)
  }

  const last = view.state?.runs.at(-1)
  const { streaming, sending, activity } = activityOf(view)
  const withdraw = (entry: PendingRun) => {
    conversation.cancelPending(entry.id)
    setReturned(entry)
    field.current?.focus()
  }
  const stop = () => {
    for (const { run } of streaming) conversation.stop(run)
    if (streaming.length === 0 && sending !== undefined) withdraw(sending)
    // As above.
    focusPolitely(field.current)
  }

  useTitle(view.state?.runs[0]?.query ?? view.pending[0]?.query)
  useSlashFocus(field)

  return (
    <div className={layout.shell}>
      <Header
        isHistoryOpen={panel.isOpen}
        onHistory={panel.toggle}
        onNew={() => show(undefined)}
        connection={<ConnectionControls {...{ conversation, client, view }} isServerThere={!models.hasFailed} />}
      />
      <div className={layout.body}>
        {panel.isOpen && (
          <HistoryPanel
            client={client}
            session={view.session}
            news={`${view.session}/${last?.run}/${last?.status}`}
            isWide={panel.isWide}
            onOpen={show}
            onClose={panel.toggle}
          />
        )}
        <main className={layout.main}>
          <Transcript
            view={view}
            models={models.list}
            ask={ask}
            onContinue={goOn}
            onStop={conversation.stop}
            onRetry={conversation.retryPending}
            onWithdraw={withdraw}
          >
            <Placeholder view={view} ask={ask} onNew={() => show(undefined)} />
          </Transcript>
          <div className={composer.row}>
            <Composer
              session={view.session}
              models={models}
              activity={activity}
              field={field}
              returned={returned}
              onSend={ask}
              onStop={stop}
            />
          </div>
        </main>
      </div>
      <Announcer
        key={view.state === undefined ? 'before' : 'after'}
        run={last}
        isOwn={last !== undefined && view.asked.has(last.run)}
      />
    </div>
  )
}

interface ConnectionControlsProps {
  readonly conversation: Conversation
  readonly client: Client
  readonly view: ConversationView
  readonly isServerThere: boolean
}

function ConnectionControls({ conversation, client, view, isServerThere }: ConnectionControlsProps) {
  return (
    <>
      <ConnectionCapsule connection={view.connection} isServerThere={isServerThere} onRetry={conversation.reconnect} />
      <TransportMenu client={client} />
    </>
  )
}

interface PlaceholderProps {
  readonly view: ConversationView
  readonly ask: (query: string) => void
  readonly onNew: () => void
}

/** Shown in place of an empty transcript. */
function Placeholder({ view, ask, onNew }: PlaceholderProps) {
  const { t } = useLanguage()
  if (view.session === undefined || view.state !== undefined) return <Empty ask={ask} />
  if (view.connection.state === 'lost') return <Missing why={view.connection.why} onNew={onNew} />
  return <Note isLate>{t.loading}</Note>
}

function Missing({ why, onNew }: { why: 'missing' | 'damaged'; onNew: () => void }) {
  const { t } = useLanguage()
  return <Message data-testid={why} {...t[why]} action={t.newSession} onAction={onNew} />
}

function activityOf({ state, pending, stopping }: ConversationView) {
  const streaming = state?.runs.filter((run) => run.status === 'streaming') ?? []
  const sending = pending.find((entry) => entry.status === 'sending' || entry.status === 'waiting')
  const isStopping = streaming.length > 0 && streaming.every(({ run }) => stopping.has(run))
  const isIdle = streaming.length === 0 && sending === undefined
  return { streaming, sending, activity: isStopping ? 'stopping' : isIdle ? 'idle' : 'stoppable' } as const
}

function useTitle(firstQuery: string | undefined): void {
  useEffect(() => {
    document.title = firstQuery === undefined ? 'Millrace' : `${firstQuery.slice(0, 60)} · Millrace`
  }, [firstQuery])
}

/** On a phone the focus would bring up the keyboard over the answer. */
function focusPolitely(field: HTMLElement | null): void {
  if (!window.matchMedia('(pointer: coarse)').matches) field?.focus({ preventScroll: true })
}

/** `/` leads to the composer from anywhere that is not a field of its own. */
function useSlashFocus(field: React.RefObject<HTMLTextAreaElement | null>): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof Element && event.target.matches('input, textarea, [contenteditable]')
      if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return
      event.preventDefault()
      field.current?.focus()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [field])
}
