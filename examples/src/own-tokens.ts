// Tokens from your own code: any async iterable becomes a run that every reader can join and resume.
import { createMillrace } from 'millrace'

const millrace = createMillrace()
const { url } = await millrace.listen({ port: Number(process.env.PORT ?? 3000) })

async function* forecast() {
  yield 'Tomorrow: '
  for (const word of ['sun, ', 'then ', 'rain.']) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    yield word
  }
  yield { data: { name: 'weather', value: { celsius: 21 } } }
}

const run = await millrace.run({ query: 'What will the weather be?', source: forecast() })
console.log(`${url}/api/stream?session=${run.session}`)
