import { useChat } from '@ai-sdk/react'
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses } from 'ai'
import { useEffect, useRef } from 'react'

const api = '/ai/chat'
const transport = new DefaultChatTransport({ api })

/** What was said before, for a page that is opened again. */
export async function loadMessages(id) {
  const response = await fetch(`${api}/${id}`)
  return response.ok ? (await response.json()).messages : []
}

export function App({ id, messages: before }) {
  const { messages, setMessages, sendMessage, regenerate, resumeStream, addToolApprovalResponse, status, error } = useChat({
    id,
    messages: before,
    transport,
    resume: true,
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
  })
  // What ended while the connection was lost is not streamed again. A question that the server did not get stays.
  const wasLost = useRef(false)
  useEffect(() => {
    if (status === 'error') wasLost.current = true
    if (status !== 'ready' || !wasLost.current) return
    wasLost.current = false
    let isOld = false
    void loadMessages(id).then((known) => {
      if (isOld || known.length === 0) return
      const isMissing = ({ id, role }) => role === 'user' && !known.some((message) => message.id === id)
      setMessages((shown) => [...known, ...shown.slice(-1).filter(isMissing)])
    })
    return () => {
      isOld = true
    }
  }, [id, status, setMessages])
  const decide = (part, approved) => addToolApprovalResponse({ id: part.approval.id, approved })
  return (
    <>
      {messages.map(({ id, role, parts, metadata }) => (
        <p key={id}>
          {role}: {parts.map((part) => part.text)}
          {parts
            .filter((part) => part.state === 'approval-requested')
            .map((part) => (
              <button key={part.toolCallId} type="button" onClick={() => decide(part, true)}>
                Approve {part.type.replace('tool-', '')}
              </button>
            ))}
          {metadata?.status === 'interrupted' && (
            <button type="button" onClick={() => void sendMessage()}>
              Continue
            </button>
          )}
        </p>
      ))}
      <form action={(form) => void sendMessage({ text: form.get('query') })}>
        <input name="query" />
      </form>
      <button type="button" onClick={() => void fetch(`${api}/${id}/stop`, { method: 'POST' })}>
        Stop
      </button>
      <button type="button" onClick={() => void regenerate()}>
        Again
      </button>
      {status === 'error' && (
        <button type="button" onClick={() => void resumeStream()}>
          Reconnect
        </button>
      )}
      <output>{error === undefined ? status : error.message}</output>
    </>
  )
}
