/** The whole page: header, conversation, composer. */
import type { Client } from '@millrace/client'
import { lazy, type RefObject, Suspense, useEffect, useRef } from 'react'
import { Announcer } from './chat/announcer.tsx'
import { Empty } from './chat/empty.tsx'
import { Transcript } from './chat/transcript.tsx'
import { activityOf, type Conversation, codeOf, useConversation } from './chat/use-conversation.ts'
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
import { useActions } from './use-actions.ts'
import type { WireLog } from './wire/wire-log.ts'

const WireView = lazy(() => import('./wire/wire-view.tsx'))

export function App({ client, wire }: { client: Client; wire: WireLog }) {
  const conversation = useConversation(client)
  const { chat, session, isBegun, asked } = conversation
  const models = useModels(client)
  const field = useRef<HTMLTextAreaElement>(null)
  const panel = usePanel()
  const [actions, { returned, inspected }] = useActions({ conversation, panel, chosen: models.chosen }, field)
  const openNew = () => actions.show(undefined)
  const last = chat.runs.at(-1)

  useTitle(chat.runs[0]?.query ?? chat.pending[0]?.query)
  useSlashFocus(field)

  return (
    <div className={layout.shell}>
      <Header
        isHistoryOpen={panel.isOpen}
        onHistory={actions.togglePanel}
        onNew={openNew}
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
            onOpen={actions.show}
            onClose={actions.togglePanel}
          />
        )}
        <main className={layout.main}>
          <Transcript
            conversation={conversation}
            actions={actions.turn}
            models={models.list}
            chosenModel={models.chosen.length === 1 ? models.chosen[0] : undefined}
            onWithdraw={actions.withdraw}
          >
            <Placeholder conversation={conversation} ask={actions.ask} onNew={openNew} />
          </Transcript>
          <div className={composer.row}>
            <Composer
              draftOf={isBegun ? session.id : 'new'}
              {...{ session, models, field, returned }}
              activity={activityOf(chat).activity}
              onSend={actions.send}
              onStop={actions.stop}
            />
          </div>
        </main>
      </div>
      {inspected !== undefined && (
        <Suspense>
          <WireView {...{ wire, session }} {...inspected} onClose={actions.endInspection} />
        </Suspense>
      )}
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

function useTitle(firstQuery: string | undefined): void {
  useEffect(() => {
    document.title = firstQuery === undefined ? 'Millrace' : `${firstQuery.slice(0, 60)} · Millrace`
  }, [firstQuery])
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
