/** A provider that stalls, rejects, drops, breaks off, sends garbage, stays open or never ends, under clients that retry. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ChatOpenAI } from '@langchain/openai'
import { createSseParser } from '@millrace/protocol'
import { createMillrace, sqliteEngine } from 'millrace'
import { expect, onTestFinished } from 'vitest'
import { makeFolder } from '../src/faults/folder.ts'
import { chooseBehaviour, endOf, faults, startProvider } from '../src/faults/provider.ts'
import { ask } from '../src/faults/request.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { noteTime } from '../src/faults/tally.ts'

/** Longer than a busy machine may pause: a pause would be blamed on the model. */
const limits = { idleMsMax: 2000, runMsMax: 4000 }
/** Beyond the deadline of a run that never ends, on that machine. */
const slackMs = 3000

interface Reading {
  text: string
  readonly ends: string[]
  events: number
}

/** Asks, or asks again, and reads to the end of the stream. */
async function readRun(url: string, request: Record<string, string>): Promise<Reading> {
  const reading: Reading = { text: '', ends: [], events: 0 }
  const parser = createSseParser({
    onEvent({ event, data }) {
      reading.events += 1
      const { text = '', status = '' } = JSON.parse(data) as { text?: string; status?: string }
      if (event === 'message') reading.text += text
      if (event === 'stream_end') reading.ends.push(status)
    },
  })
  const answer = await fetch(`${url}/api/chat?${new URLSearchParams(request).toString()}`)
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
  for await (const bytes of answer.body as ReadableStream<Uint8Array>) parser.push(bytes)
  return reading
}

itWithstands({
  fault: 'F38 a provider that stalls, refuses, drops, breaks off, sends garbage, stays open or never ends',
  claim: 'ends each run once and in time, keeps its text, and asks the provider once however often the client asks',
  async open() {
    const provider = await startProvider()
    const fake = new ChatOpenAI({ model: 'fake', apiKey: 'sk-123', maxRetries: 0, configuration: { baseURL: provider.url } })
    const engine = sqliteEngine({ folder: makeFolder() })
    const millrace = createMillrace({ engine, models: { fake }, model: 'fake', limits, onError: () => {} })
    onTestFinished(() => millrace.close())
    return { provider, url: (await millrace.listen({ port: 0 })).url, names: { next: 0 } }
  },
  async round({ provider, url, names }, chance, tally) {
    const asking = faults.map((fault) => {
      const id = `run-${++names.next}`
      const behaviour = chooseBehaviour(chance, fault)
      const asked = provider.expect(id, behaviour)
      // Two at once, and two during the run or after it.
      const waits = [0, 0, chance.whole(1, 100), chance.whole(100, 2000)]
      return askAgain(url, id, waits).then((outcome) => ({ fault, asked, status: endOf(behaviour), ...outcome }))
    })
    for (const { fault, asked, status, readings, runs, ms } of await Promise.all(asking)) {
      tally.readers += readings.length
      tally.events += readings.reduce((sum, { events }) => sum + events, 0)
      noteTime(tally, 'end', ms)
      expect([fault, asked.requests, runs.length]).toEqual([fault, 1, 1])
      expect(ms).toBeLessThan(fault === 'never ends' ? limits.runMsMax + slackMs : limits.runMsMax)
      const text = runs[0]?.lanes[0]?.text ?? ''
      // Of one that never ends, the text before the deadline; of one that drops, `fetch` loses what it had not delivered yet.
      const isCut = fault === 'never ends' || fault === 'drops'
      const said = isCut ? asked.text.slice(0, text.length) : asked.text
      expect([fault, text]).toEqual([fault, said])
      if (fault === 'never ends') expect(text).toMatch(/^1 2 /)
      for (const each of readings) expect([fault, each.text, each.ends]).toEqual([fault, text, [status]])
    }
  },
})

interface Outcome {
  readonly readings: readonly Reading[]
  readonly runs: readonly { readonly status: string; readonly lanes: readonly { readonly text: string }[] }[]
  /** Until the first of them received the end. */
  readonly ms: number
}

/** The same question with the same id, after each of these milliseconds, and once more after the end. */
async function askAgain(url: string, id: string, waits: readonly number[]): Promise<Outcome> {
  const { id: session } = await ask<{ id: string }>(`${url}/api/sessions`, {})
  const request = { query: id, session, id }
  const startedAt = performance.now()
  let ms = Number.POSITIVE_INFINITY
  const readings = await Promise.all(
    waits.map(async (wait) => {
      await sleep(wait)
      const each = await readRun(url, request)
      ms = Math.min(ms, performance.now() - startedAt)
      return each
    }),
  )
  const late = await readRun(url, request)
  const { runs } = await ask<Pick<Outcome, 'runs'>>(`${url}/api/sessions/${session}`)
  return { readings: [...readings, late], runs, ms }
}
