/** Tokens, tickets, questions and answers are in no line, no metric, no error and no Referer, whatever way they come in. */
import { createMillrace, type Model } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { entrances, streams } from './support/entrances.ts'
import { postJson, type startRun } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { bearer, forge, secret, sign } from './support/tokens.ts'

const adminKey = 'ADMINKEY-SENTINEL-of-the-operator'
const question = 'QUESTION-SENTINEL of a user'
const answer = 'ANSWER-SENTINEL of a model'

const answering: Model = {
  name: 'answering',
  async *stream() {
    yield answer
  },
}
/** As providers and parsers do. */
const quoting: Model = {
  name: 'quoting',
  async *stream({ messages }) {
    yield answer
    throw new Error(`400 cannot process ${JSON.stringify(messages)}`, { cause: new Error(`in: ${messages.at(-1)?.text}`) })
  },
}

it('are in none of them', async () => {
  const lines: string[] = []
  const millrace = createMillrace({
    models: [answering, quoting],
    model: 'answering',
    access: { tokens: { secret }, adminKey },
    log: { level: 'debug', format: 'json', write: (line) => lines.push(line) },
  })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  const token = await sign()
  const own = bearer(token)
  const rejected = {
    forged: forge({ alg: 'none' }, { sub: 'FORGED-SENTINEL' }),
    expired: await sign({ exp: 1 }),
    'no token': 'GARBAGE-SENTINEL',
  }
  const errors: string[] = []
  const referrers: (string | null)[] = []
  const keep = async (response: Response) => {
    const text = await response.text()
    if (!response.ok) errors.push(text, JSON.stringify([...response.headers]))
    return text
  }

  // Questions and answers, of runs that end well and badly.
  for (const model of ['answering', 'quoting']) {
    const { session, run } = await startRunAs(own, { query: question, model })
    await millrace.findRun(run)?.ended
    await keep(await fetch(`${url}/api/stream?session=${session}&live=poll`, { headers: own }))
    await keep(await fetch(`${url}/api/chat?${new URLSearchParams({ query: question, model }).toString()}`, { headers: own }))
  }
  const socket = await openSocket(url, [], { headers: own })
  socket.send({ query: question, model: 'quoting' })
  await socket.until(({ status, error }) => status !== undefined || error !== undefined)

  // The same in requests that are rejected.
  const bodies = [
    { query: question, id: '!' },
    { query: question, model: 'openai:none' },
    { query: [question] },
    { channel: 'c', data: question, id: '!' },
  ]
  for (const body of bodies)
    for (const path of ['/api/chat', '/api/publish', '/api/tickets', '/api/sessions/none'])
      await keep(await postJson(`${url}${path}`, body, own))
  await keep(
    await fetch(`${url}/api/chat`, {
      method: 'POST',
      body: `{"query":"${question}`,
      headers: { ...own, 'content-type': 'application/json' },
    }),
  )
  for (const message of [
    { query: question, id: '!' },
    `{"query":"${question}`,
    { type: question },
    { type: 'renew', token: rejected.forged },
  ]) {
    socket.send(message)
    errors.push(JSON.stringify(await socket.next()))
  }

  // Credentials that are rejected, and tickets, which are in an address.
  for (const credential of Object.values(rejected))
    for (const enter of Object.values(entrances)) errors.push((await enter(url, bearer(credential))).text)
  const tickets: string[] = []
  for (const transport of streams) {
    const { ticket } = (await (await postJson(`${url}/api/tickets`, {}, own)).json()) as { ticket: string }
    tickets.push(ticket)
    for (let use = 0; use < 2; use++) {
      const { headers, status, text } = await entrances[transport](url, {}, `&ticket=${ticket}`)
      if (status >= 400) errors.push(text, JSON.stringify([...headers]))
      if (status !== 101) referrers.push(headers.get('referrer-policy'))
    }
  }

  socket.client.close()
  await expect.poll(() => lines.filter((line) => line.includes('"run ended"')).length).toBe(5)
  const metrics = await (await fetch(`${url}/metrics`, { headers: bearer(adminKey) })).text()
  const secrets = [question, answer, 'SENTINEL', token, ...Object.values(rejected), ...tickets]
  const outputs = { lines, errors, metrics: [metrics] }
  for (const [name, texts] of Object.entries(outputs))
    for (const each of secrets) expect([name, each, texts.filter((text) => text.includes(each))]).toEqual([name, each, []])
  expect(new Set(referrers)).toEqual(new Set(['no-referrer']))
  process.stdout.write(
    `${secrets.length} secrets in none of ${lines.length} lines, ${errors.length} errors and ${metrics.length} bytes of metrics\n`,
  )

  async function startRunAs(headers: Record<string, string>, body: object) {
    const response = await postJson(`${url}/api/chat`, body, { ...headers, accept: 'application/json' })
    return (await response.json()) as Awaited<ReturnType<typeof startRun>>
  }
})
