/** A runtime of assistant-ui over a session: what its components show and do is the chat store of the session. */
import { type AssistantRuntime, type ThreadMessage, useExternalStoreRuntime } from '@assistant-ui/react'
import type { Json } from '@millrace/protocol'
import { useMemo } from 'react'
import type { AskOptions, ChatOptions } from '../chat/index.ts'
import { MillraceError } from '../errors.ts'
import { useChat } from '../react/index.ts'
import type { Session } from '../session.ts'
import { createAttachmentAdapter } from './attachments.ts'
import { findCall, toQuestion, toRepository, toThreadMessages } from './messages.ts'

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
  const { runs, pending, siblings } = chat
  const messages = useMemo(() => toThreadMessages({ runs, pending }, lane), [runs, pending, lane])
  const messageRepository = useMemo(() => toRepository(messages, siblings), [messages, siblings])
  const attachments = useMemo(() => createAttachmentAdapter(session), [session])
  return useExternalStoreRuntime<ThreadMessage>({
    adapters: { attachments },
    messageRepository,
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
    /** Another branch was chosen: its question is the one that is not shown yet. */
    setMessages(chosen) {
      const other = chosen.find(({ id }) => siblings.has(id) && !runs.some(({ run }) => run === id))
      if (other !== undefined) chat.choose(other.id)
    },
    async onAddToolResult({ toolCallId, result, isError }) {
      const found = findCall({ runs }, ({ call }) => call === toolCallId)
      if (found !== undefined) await chat.addToolResults(found.run, [{ call: toolCallId, value: result as Json, isError }])
    },
    async onRespondToToolApproval({ approvalId, approved, reason }) {
      const found = findCall({ runs }, ({ approval }) => approval === approvalId)
      if (found === undefined) throw new MillraceError('call_not_found', { retryable: false })
      const { run, call } = found
      if (approved) await chat.approve(run, call)
      else await chat.decide(run, [{ call, decision: 'reject', ...(reason !== undefined && { reason }) }])
    },
  })
}
