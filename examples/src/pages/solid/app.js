import { connect } from '@millrace/client'
import { useChat } from '@millrace/client/solid'
import { Index } from 'solid-js'
import html from 'solid-js/html'

const session = connect().session()

export function App() {
  const chat = useChat(session)
  const ask = (event) => {
    event.preventDefault()
    void chat().ask(new FormData(event.target).get('query'))
  }
  // With JSX: <Index each={chat().runs}>{(run) => <p>{run().query}: {run().lanes[0].text}</p>}</Index>
  return html`
    <${Index} each=${() => chat().runs}>
      ${(run) => html`<p>${() => run().query}: ${() => run().lanes[0].text}</p>`}
    <//>
    <form onsubmit=${ask}><input name="query" /></form>
  `
}
