/** One HTTP request: resolves with the JSON of its response, or rejects with the error's code. */

export interface RequestError extends Error {
  /** 0 without a response. */
  readonly status: number
  readonly code: string
}

/** Longer than any engine's timeout. */
const answerMsMax = 20_000

/** A `POST` if there is a body, else a `GET`. Rejects with a `Refusal`. */
export async function ask<T>(url: string, body?: object): Promise<T> {
  const headers = { 'content-type': 'application/json', accept: 'application/json' }
  const signal = AbortSignal.timeout(answerMsMax)
  const posted = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) }
  const send = () => fetch(url, { ...posted, signal })
  const answer = await send()
    // The server may close a kept-alive connection in the moment in which it is reused.
    .catch((error: Error) => (body === undefined && error.name === 'TypeError' ? send() : Promise.reject(error)))
    .catch((error: Error) => {
      throw requestError(0, error.name, `${url}: ${error.message}`)
    })
  const text = await answer.text().catch((error: Error) => {
    throw requestError(0, error.name, `${url}: ${error.message}`)
  })
  if (answer.ok) return JSON.parse(text) as T
  const { code = '' } = (JSON.parse(text) as { error?: { code?: string } }).error ?? {}
  throw requestError(answer.status, code, `${url}: ${answer.status} ${text}`)
}

/** The code of the error, or '' on success. */
export async function codeOf(asking: Promise<unknown>): Promise<string> {
  return asking.then(
    () => '',
    (error: RequestError) => error.code,
  )
}

function requestError(status: number, code: string, message: string): RequestError {
  return Object.assign(new Error(message), { status, code })
}
