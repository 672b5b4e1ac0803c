// A Millrace server, started from your own code.
import { createMillrace } from 'millrace'

const millrace = createMillrace({ model: 'sim:count?n=5' })
const { url } = await millrace.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`${url}/api/chat?query=hello`)
