/** A runtime of assistant-ui over a session: what its components show and do is the chat store of the session. */
import { type AssistantRuntime, type ThreadMessageLike, useExternalStoreRuntime } from '@assistant-ui/react'
import { useMemo } from 'react'
import type { AskOptions, ChatOptions } from '../chat/index.ts'
import { useChat } from '../react/index.ts'
import type { Session } from '../session.ts'
import { toQuestion, toThreadMessages } from './messages.ts'

export interface MillraceRuntimeOptions extends ChatOptions, Pick<AskOptions, 'models' | 'instructions' | 'params' | 'metadata'> {
  /** The name of the lane whose answers are shown; default the first of each run. */
  readonly lane?: string
}

/**
 * Pass it to `AssistantRuntimeProvider`, and the same `Session` in every rendering. Its cancel button stops the run for
 * everybody; a component that is removed only ceases to read.
 */
export function useMillraceRuntime(session: Session, options: MillraceRuntimeOptions = {}): AssistantRuntime {
  const { transcript, storage, onEnd, onToolCall, lane, ...asked } = options
  const chat = useChat(session, { transcript, storage, onEnd, onToolCall })
  const { runs, pending } = chat
  const messages = useMemo(() => toThreadMessages({ runs, pending }, lane), [runs, pending, lane])
  return useExternalStoreRuntime<ThreadMessageLike>({
    messages,
    convertMessage: (message) => message,
    isRunning: runs.some(({ status }) => status === 'streaming'),
    isLoading: chat.status === 'loading' && messages.length === 0,
    // What is rejected shows its error below the question.
    async onNew(message) {
      void chat.ask(toQuestion(message), asked)
    },
    async onEdit(message) {
      if (message.sourceId !== null) void chat.edit(message.sourceId, toQuestion(message), asked)
    },
    async onReload(question) {
      if (question !== null) void chat.regenerate(question, asked)
    },
    async onCancel() {
      await Promise.allSettled(runs.filter(({ status }) => status === 'streaming').map(({ run }) => chat.stop(run)))
    },
  })
}
