import { connect } from '@millrace/client'

const session = connect().session()

document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const run = session.run({ query: new FormData(event.target).get('query') })
  for await (const text of run.text) document.querySelector('output').append(text)
})
