// TanStack AI's own client, pointed at Millrace: a second one, as after a reload, has the same conversation.
import { ChatClient, fetchServerSentEvents } from '@tanstack/ai-client'
import { createMillrace } from 'millrace'

const millrace = createMillrace({ model: 'sim:count?n=5', dialects: ['tanstack'] })
const { url } = await millrace.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`${url}/api/chat?query=hello`)

const connection = fetchServerSentEvents(`${url}/tanstack`)
await new ChatClient({ connection, threadId: 'example' }).sendMessage('hello')

const reloaded = new ChatClient({
  connection,
  threadId: 'example',
  persistence: true,
  onMessagesChange(messages) {
    for (const { role, parts } of messages)
      console.log(`${role}: ${parts.map((part) => (part.type === 'text' ? part.content : '')).join('')}`)
  },
})
reloaded.attach()
