import { useChat } from '@ai-sdk/react'
import { connect } from '@millrace/client'
import { millraceTransport } from '@millrace/client/ai-sdk'

const transport = millraceTransport(connect())

export function App() {
  const { messages, sendMessage, stop } = useChat({ transport })
  return (
    <>
      {messages.map(({ id, role, parts }) => (
        <p key={id}>
          {role}: {parts.map((part) => part.text)}
        </p>
      ))}
      <form action={(form) => void sendMessage({ text: form.get('query') })}>
        <input name="query" />
      </form>
      <button type="button" onClick={stop}>
        Stop
      </button>
    </>
  )
}
