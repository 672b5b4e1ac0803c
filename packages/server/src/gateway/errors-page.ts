/** `/docs/errors`: every code with its status and what to do, from the table of errors. */
import { type ErrorCode, errors } from '@millrace/protocol'

/** It has a style, and nothing else to load or run. */
export const errorsPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"

export function errorsPage(): string {
  const rows = Object.entries(errors).map(([code, { status, retryable, message }]) =>
    row(code as ErrorCode, status, retryable, message),
  )
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Millrace: errors</title>
<style>
:root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif }
body { max-width: 60rem; margin: 3rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid #8884 }
tr:target { background: #fa03 }
</style></head><body>
<h1>Errors</h1>
<p>Every answer that is not a success is <code>{"error":{"code","message","docs","retryable"}}</code>. Decide by <code>code</code>; the message is for people.</p>
<table><thead><tr><th>code</th><th>status</th><th>retry</th><th>what happened, what to do</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table></body></html>
`
}

function row(code: ErrorCode, status: number, retryable: boolean, message: string): string {
  return `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${retryable ? 'yes' : 'no'}</td><td>${message.replaceAll('<', '&lt;')}</td></tr>`
}
