/** A page of nothing but the client's hooks, as an application would use them, which notes each of its commits. */
import { connect } from '@millrace/client'
import { useChannel, useChat, useConnection, useRun } from '@millrace/client/react'
import { StrictMode, useLayoutEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'
import type { Order } from './worker.ts'

export interface Commit {
  /** The time of the frame in which it was, or after which. */
  readonly frame: unknown
  /** All that may change between two frames. */
  readonly edges: string
}

// Streams are counted: a WebSocket stays for a while when nobody reads.
const client = connect('.', { transport: 'sse' })
const session = client.session(new URLSearchParams(location.search).get('session') ?? undefined)
const other = connect('.', { transport: 'sse' })
const commits: Commit[] = []

/** Where no frame comes, as on a busy machine, a timer of a second stands in for it. */
const standInMs = 1000
let standIns = 0
const realSetTimeout = setTimeout
globalThis.setTimeout = ((run: () => void, ms?: number) =>
  realSetTimeout(() => {
    if (ms === standInMs) standIns += 1
    run()
  }, ms)) as typeof setTimeout

/** What a worker of this page reads by itself. */
function readInWorker(order: Order): Promise<string> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
    worker.onmessage = ({ data }) => resolve(data)
    worker.onerror = ({ message }) => reject(new Error(message))
    worker.postMessage(order)
  })
}
Object.assign(globalThis, { commits, readInWorker })

function App() {
  const [isOpen, setOpen] = useState(true)
  return (
    <>
      <button type="button" onClick={() => setOpen(!isOpen)}>
        toggle
      </button>
      {isOpen && <Conversation />}
    </>
  )
}

function Conversation() {
  const { runs, pending, status, ask, stop, resume: goOn } = useChat(session)
  const connection = useConnection(client)
  // Of commits, not of renderings: in StrictMode each is rendered twice.
  useLayoutEffect(() => {
    const edges = JSON.stringify([runs.map((run) => run.status), pending, status, connection, standIns])
    commits.push({ frame: document.timeline.currentTime, edges })
  })
  return (
    <main data-connection={connection.state} data-status={status} data-session={session.id}>
      <form action={(form) => void ask(form.get('query') as string)}>
        <input name="query" />
      </form>
      {runs.map(({ run }) => (
        <Answer key={run} run={run} onStop={() => void stop(run)} onContinue={() => void goOn(run)} />
      ))}
      {pending.map(({ id, query }) => (
        <p key={id}>{query}</p>
      ))}
      {runs.length > 0 && <Events />}
    </main>
  )
}

interface AnswerProps {
  readonly run: string
  readonly onStop: () => void
  readonly onContinue: () => void
}

function Answer({ run, onStop, onContinue }: AnswerProps) {
  const answer = useRun(session, run)
  return (
    <article data-status={answer?.status}>
      <h2>{answer?.query}</h2>
      <output>{answer?.lanes[0]?.text}</output>
      <button type="button" onClick={onStop}>
        stop
      </button>
      <button type="button" onClick={onContinue}>
        continue
      </button>
    </article>
  )
}

/** Somebody else's session is a channel, too. */
function Events() {
  const { events } = useChannel(other.session(session.id), { eventsMax: 3 })
  return (
    <ol>
      {events.map(({ id, type }) => (
        <li key={id}>{type}</li>
      ))}
    </ol>
  )
}

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
