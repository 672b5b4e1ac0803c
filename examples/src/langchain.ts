// Any LangChain chat model, passed by name. This one needs no key.
import { FakeListChatModel } from '@langchain/core/utils/testing'
import { createMillrace } from 'millrace'

const millrace = createMillrace({
  models: { poet: new FakeListChatModel({ responses: ['A mill turns where the river runs.'] }) },
  model: 'poet',
})
const { url } = await millrace.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`${url}/api/chat?query=hello`)
