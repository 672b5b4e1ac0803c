// AG-UI's own client, pointed at Millrace: two models answer side by side, each as a subagent.
import { HttpAgent } from '@ag-ui/client'
import { createMillrace } from 'millrace'

const millrace = createMillrace({ model: 'sim:count?n=5', dialects: ['ag-ui'] })
const { url } = await millrace.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`${url}/api/chat?query=hello`)

const agent = new HttpAgent({ url: `${url}/ag-ui` })
agent.addMessage({ id: '1', role: 'user', content: 'hello' })
const { newMessages } = await agent.runAgent({ forwardedProps: { models: ['sim:count?n=5', 'sim:echo'] } })
for (const { role, content } of newMessages) if (typeof content === 'string') console.log(`${role}: ${content}`)
