// Anthropic's own client, pointed at Millrace.
import Anthropic from '@anthropic-ai/sdk'
import { createMillrace } from 'millrace'

const millrace = createMillrace({ model: 'sim:count?n=5', dialects: ['anthropic'] })
const { url } = await millrace.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`${url}/api/chat?query=hello`)

const { messages } = new Anthropic({ baseURL: url, apiKey: 'none' })
const stream = messages.stream({ model: 'default', max_tokens: 100, messages: [{ role: 'user', content: 'hello' }] })
console.log(await stream.finalText())
