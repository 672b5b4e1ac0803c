/** One question to a server over HTTP: its answer, or its refusal with a code. */

export interface Refusal extends Error {
  /** 0 where there was no answer. */
  readonly status: number
  readonly code: string
}

/** Longer than any engine may wait. */
const answerMsMax = 20_000

/** A `POST` where there is a body, else a `GET`. Rejects with a `Refusal`. */
export async function ask<T>(url: string, body?: object): Promise<T> {
  const headers = { 'content-type': 'application/json', accept: 'application/json' }
  const signal = AbortSignal.timeout(answerMsMax)
  const posted = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) }
  const send = () => fetch(url, { ...posted, signal })
  const answer = await send()
    // A connection that was kept, and closed by the server in the moment in which it was used again.
    .catch((error: Error) => (body === undefined && error.name === 'TypeError' ? send() : Promise.reject(error)))
    .catch((error: Error) => {
      throw refusal(0, error.name, `${url}: ${error.message}`)
    })
  const text = await answer.text().catch((error: Error) => {
    throw refusal(0, error.name, `${url}: ${error.message}`)
  })
  if (answer.ok) return JSON.parse(text) as T
  const { code = '' } = (JSON.parse(text) as { error?: { code?: string } }).error ?? {}
  throw refusal(answer.status, code, `${url}: ${answer.status} ${text}`)
}

/** The code of a refusal, or '' where it was none. */
export async function codeOf(asking: Promise<unknown>): Promise<string> {
  return asking.then(
    () => '',
    (error: Refusal) => error.code,
  )
}

function refusal(status: number, code: string, message: string): Refusal {
  return Object.assign(new Error(message), { status, code })
}
