// A program in any language answers: this one sends its lines as the body of a request that lasts as long as the answer.
import { createMillrace } from 'millrace'

const millrace = createMillrace()
const { url } = await millrace.listen({ port: Number(process.env.PORT ?? 3000) })

async function* answer() {
  for (let n = 1; n <= 5; n++) yield `${JSON.stringify({ text: `${n} ` })}\n`
  yield '{"end":true}\n'
}

const json = { 'content-type': 'application/json' }
await fetch(`${url}/api/sessions`, { method: 'POST', headers: json, body: '{"id":"demo"}' })
console.log(`${url}/api/stream?session=demo`)

const body = ReadableStream.from(answer()).pipeThrough(new TextEncoderStream())
const headers = { 'content-type': 'application/x-ndjson' }
const request = { method: 'POST', headers, body, duplex: 'half' as const }
console.log(await (await fetch(`${url}/api/runs?session=demo&query=hello`, request)).text())
