// An answer as a Durable Stream, which its published client reads: docs/guides/durable-streams.md.
import { createMillrace } from 'millrace'

const millrace = createMillrace({ model: 'sim:count?n=5', dialects: ['durable-streams'] })
const { url } = await millrace.listen({ port: Number(process.env.PORT ?? 3000) })
const { id } = await millrace.ask({ query: 'hello' })
console.log(`${url}/ds/runs/${id}?offset=-1&live=sse`)
