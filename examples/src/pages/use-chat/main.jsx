import { createRoot } from 'react-dom/client'
import { App, loadMessages } from './app.jsx'

// The address of the page names the chat, so that a reload and another tab show the same one.
const id = location.hash.slice(1) || crypto.randomUUID()
location.hash = id
const messages = await loadMessages(id)
createRoot(document.querySelector('#app')).render(<App id={id} messages={messages} />)
