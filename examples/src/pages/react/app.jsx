import { connect } from '@millrace/client'
import { useChat } from '@millrace/client/react'

const session = connect().session()

export function App() {
  const { runs, ask } = useChat(session)
  return (
    <>
      {runs.map(({ run, query, lanes }) => (
        <p key={run}>
          {query}: {lanes[0].text}
        </p>
      ))}
      <form action={(form) => void ask(form.get('query'))}>
        <input name="query" />
      </form>
    </>
  )
}
