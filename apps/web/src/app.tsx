/** The whole page: header, conversation, composer. */
import type { Client } from '@millrace/client'
import type { Chat, PendingRun } from '@millrace/client/chat'
import type { UploadedFile } from '@millrace/client/files'
import { type RefObject, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { Announcer } from './chat/announcer.tsx'
import { Empty } from './chat/empty.tsx'
import { Transcript } from './chat/transcript.tsx'
import type { TurnActions } from './chat/turn.tsx'
import { type Conversation, codeOf, useConversation } from './chat/use-conversation.ts'
import composer from './composer/composer.module.css'
import { Composer } from './composer/composer.tsx'
import { useModels } from './composer/use-models.ts'
import { ConnectionCapsule } from './connection/capsule.tsx'
import { TransportMenu } from './connection/transport-menu.tsx'
import { useLanguage } from './i18n/language.tsx'
import { HistoryPanel } from './threads/panel.tsx'
import { usePanel } from './threads/use-panel.ts'
import { Header } from './ui/header.tsx'
import layout from './ui/layout.module.css'
import { Message } from './ui/message.tsx'
import { Note } from './ui/text.tsx'

export function App({ client }: { client: Client }) {
  const conversation = useConversation(client)
  const { chat, session, isBegun, asked } = conversation
  const models = useModels(client)
  const field = useRef<HTMLTextAreaElement>(null)
  const [returned, setReturned] = useState<PendingRun>()
  const panel = usePanel()

  const latest = useRef<Latest>({ conversation, chosen: models.chosen })
  useEffect(() => {
    latest.current = { conversation, chosen: models.chosen }
  })
  // The same function for every turn, so that a word that arrives renders one of them.
  const ask = useCallback((query: string, asking?: readonly string[], files?: readonly UploadedFile[]) => {
    latest.current.conversation.ask(query, asking ?? latest.current.chosen, files)
    focusPolitely(field.current)
  }, [])
  const actions = useActions(latest, field)
  const show = (id: string | undefined) => {
    panel.leave()
    if (isBegun && id === session.id) return
    conversation.open(id)
    focusPolitely(field.current)
  }

  const last = chat.runs.at(-1)
  const { streaming, sending, activity } = activityOf(chat)
  const withdraw = (entry: PendingRun) => {
    chat.withdraw(entry.id)
    setReturned(entry)
    field.current?.focus()
  }
  const stop = () => {
    for (const { run } of streaming) void chat.stop(run)
    if (streaming.length === 0 && sending !== undefined) withdraw(sending)
    // As above.
    focusPolitely(field.current)
  }

  useTitle(chat.runs[0]?.query ?? chat.pending[0]?.query)
  useSlashFocus(field)

  return (
    <div className={layout.shell}>
      <Header
        isHistoryOpen={panel.isOpen}
        onHistory={panel.toggle}
        onNew={() => show(undefined)}
        connection={
          <>
            <ConnectionCapsule
              chat={isBegun ? chat : undefined}
              isServerThere={!models.hasFailed}
              onRetry={isBegun ? chat.reload : models.reload}
            />
            <TransportMenu client={client} />
          </>
        }
      />
      <div className={layout.body}>
        {panel.isOpen && (
          <HistoryPanel
            client={client}
            session={isBegun ? session.id : undefined}
            news={`${session.id}/${last?.run}/${last?.status}`}
            isWide={panel.isWide}
            onOpen={show}
            onClose={panel.toggle}
          />
        )}
        <main className={layout.main}>
          <Transcript
            {...{ conversation, actions }}
            models={models.list}
            chosenModel={models.chosen.length === 1 ? models.chosen[0] : undefined}
            onWithdraw={withdraw}
          >
            <Placeholder conversation={conversation} ask={ask} onNew={() => show(undefined)} />
          </Transcript>
          <div className={composer.row}>
            <Composer
              draftOf={isBegun ? session.id : 'new'}
              {...{ session, models, activity, field, returned }}
              onSend={(query, files) => ask(query, undefined, files)}
              onStop={stop}
            />
          </div>
        </main>
      </div>
      <Announcer
        key={`${session.id} ${chat.status === 'loading' && last === undefined}`}
        run={last}
        isOwn={last !== undefined && asked.has(last.run)}
      />
    </div>
  )
}

interface PlaceholderProps {
  readonly conversation: Conversation
  readonly ask: (query: string, models?: readonly string[]) => void
  readonly onNew: () => void
}

/** Shown in place of an empty transcript. */
function Placeholder({ conversation: { chat, isBegun }, ask, onNew }: PlaceholderProps) {
  const { t } = useLanguage()
  if (!isBegun || chat.status === 'live') return <Empty ask={ask} />
  if (chat.status === 'loading') return <Note isLate>{t.loading}</Note>
  const why = codeOf(chat.error) === 'log_damaged' ? 'damaged' : 'missing'
  return <Message data-testid={why} {...t[why]} action={t.newSession} onAction={onNew} />
}

function activityOf({ runs, pending, stopping }: Chat) {
  const streaming = runs.filter((run) => run.status === 'streaming')
  const sending = pending.find((entry) => entry.status === 'sending')
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

interface Latest {
  readonly conversation: Conversation
  readonly chosen: readonly string[]
}

/** The same for every turn, as long as the page is. */
function useActions(latest: RefObject<Latest>, field: RefObject<HTMLTextAreaElement | null>): TurnActions {
  return useMemo((): TurnActions => {
    // The button disappears: without this, the focus of a keyboard would be lost.
    const then = (act: (conversation: Conversation) => unknown) => {
      void act(latest.current.conversation)
      focusPolitely(field.current)
    }
    return {
      resume: (run) => then(({ chat }) => chat.resume(run)),
      stop: (run, lane) => then(({ chat }) => chat.stop(run, lane === undefined ? undefined : { lane })),
      regenerate: (run, models) => then(({ regenerate }) => regenerate(run, models)),
      edit: (run, question) => then(({ edit }) => edit(run, question, latest.current.chosen)),
      choose: (run) => latest.current.conversation.chat.choose(run),
      use: (run, lane) => then(({ use }) => use(run, lane)),
      decide: (run, decision) => latest.current.conversation.chat.decide(run, [decision]),
    }
  }, [latest, field])
}

/** `/` leads to the composer from anywhere that is not a field of its own. */
function useSlashFocus(field: RefObject<HTMLTextAreaElement | null>): void {
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
