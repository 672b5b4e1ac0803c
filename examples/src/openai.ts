// OpenAI's own client, pointed at Millrace: its connection breaks, the answer goes on, and so does the client.
import { createMillrace } from 'millrace'
import OpenAI from 'openai'

const millrace = createMillrace({ model: 'sim:count?n=5', dialects: ['openai'] })
const { url } = await millrace.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`${url}/api/chat?query=hello`)

const { responses } = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' })
let id = ''
let last = 0
let text = ''
for await (const event of await responses.create({ model: 'default', input: 'hello', stream: true })) {
  last = event.sequence_number
  if (event.type === 'response.created') id = event.response.id
  if (event.type !== 'response.output_text.delta') continue
  text += event.delta
  // Leaves the loop, and with it closes the connection.
  break
}
for await (const event of await responses.retrieve(id, { stream: true, starting_after: last }))
  if (event.type === 'response.output_text.delta') text += event.delta
console.log(text)
