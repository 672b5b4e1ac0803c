/**
 * What the reader does on the page. A word that arrives renders the whole page, but only those components whose properties it
 * changes. So these functions are the same in every rendering, and read what is shown when they are called.
 */
import type { PendingRun } from '@millrace/client/chat'
import type { UploadedFile } from '@millrace/client/files'
import { type RefObject, useEffect, useMemo, useRef, useState } from 'react'
import type { TurnActions } from './chat/turn.tsx'
import { activityOf, type Conversation } from './chat/use-conversation.ts'
import type { Panel } from './threads/use-panel.ts'

export interface Latest {
  readonly conversation: Conversation
  readonly panel: Panel
  /** The models of the next question. */
  readonly chosen: readonly string[]
}

export interface Actions {
  readonly ask: (query: string, models?: readonly string[], files?: readonly UploadedFile[]) => void
  readonly send: (query: string, files: readonly UploadedFile[]) => void
  readonly show: (session: string | undefined) => void
  readonly togglePanel: () => void
  readonly withdraw: (pending: PendingRun) => void
  readonly stop: () => void
  readonly endInspection: () => void
  readonly turn: TurnActions
}

export interface Outcome {
  /** The question that was withdrawn last. */
  readonly returned: PendingRun | undefined
  /** The answer whose events are shown. */
  readonly inspected: Inspected | undefined
}

interface Inspected {
  readonly run: string
  readonly lane: string
}

export function useActions(shown: Latest, field: RefObject<HTMLTextAreaElement | null>): readonly [Actions, Outcome] {
  const [returned, setReturned] = useState<PendingRun>()
  const [inspected, inspect] = useState<Inspected>()
  const latest = useRef(shown)
  useEffect(() => {
    latest.current = shown
  })
  const actions = useMemo((): Actions => {
    const focus = () => focusPolitely(field.current)
    const ask: Actions['ask'] = (query, models, files) => {
      latest.current.conversation.ask(query, models ?? latest.current.chosen, files)
      focus()
    }
    const withdraw = (pending: PendingRun) => {
      latest.current.conversation.chat.withdraw(pending.id)
      setReturned(pending)
      field.current?.focus()
    }
    // The button disappears: without this, the focus of a keyboard would be lost.
    const then = (act: (conversation: Conversation) => unknown) => {
      void act(latest.current.conversation)
      focus()
    }
    return {
      ask,
      send: (query, files) => ask(query, undefined, files),
      show(id) {
        const { isBegun, session, open } = latest.current.conversation
        latest.current.panel.leave()
        if (isBegun && id === session.id) return
        open(id)
        focus()
      },
      togglePanel: () => latest.current.panel.toggle(),
      withdraw,
      stop: () =>
        then(({ chat }) => {
          const { streaming, sending } = activityOf(chat)
          for (const { run } of streaming) void chat.stop(run)
          if (streaming.length === 0 && sending !== undefined) withdraw(sending)
        }),
      endInspection: () => inspect(undefined),
      turn: {
        resume: (run) => then(({ chat }) => chat.resume(run)),
        stop: (run, lane) => then(({ chat }) => chat.stop(run, lane === undefined ? undefined : { lane })),
        regenerate: (run, models) => then(({ regenerate }) => regenerate(run, models)),
        edit: (run, question) => then(({ edit }) => edit(run, question, latest.current.chosen)),
        choose: (run) => latest.current.conversation.chat.choose(run),
        use: (run, lane) => then(({ use }) => use(run, lane)),
        inspect: (run, lane) => inspect({ run, lane }),
        decide: (run, decision) => latest.current.conversation.chat.decide(run, [decision]),
      },
    }
  }, [field])
  return [actions, { returned, inspected }]
}

/** On a phone the focus would bring up the keyboard over the answer. */
function focusPolitely(field: HTMLElement | null): void {
  if (!window.matchMedia('(pointer: coarse)').matches) field?.focus({ preventScroll: true })
}
