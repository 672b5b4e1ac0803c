/** Bodies of requests: only JSON, and bounded in bytes. A client that disconnects in the middle is not a server error. */
import { limits, MillraceError } from '@millrace/protocol'

/** `hostBody` is the body where the host, such as Express, has read it already. `onBody` is called with the size of another. */
export async function readJson(
  request: Request,
  hostBody: unknown,
  onBody: (bytes: number) => void,
  takesAnyType = false,
): Promise<unknown> {
  const body = typeof hostBody === 'object' && hostBody !== null ? hostBody : await readText(request, onBody)
  const type = request.headers.get('content-type')?.toLowerCase() ?? ''
  if (type === '' && (body === '' || (typeof body === 'object' && Object.keys(body).length === 0))) return {}
  // Only JSON: a form of another site's page can send other types without a preflight request.
  if (!takesAnyType && !/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/.test(type))
    throw new MillraceError('unsupported_media_type')
  if (typeof body === 'object') return body
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw new MillraceError('invalid_json', { cause })
  }
}

/** Never holds more than one chunk over the limit. Without the byte order mark that PowerShell and .NET put before it. */
async function readText({ headers, body }: Request, onBody: (bytes: number) => void): Promise<string> {
  if (Number(headers.get('content-length') ?? 0) > limits.bodyBytesMax) throw new MillraceError('body_too_large')
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of body ?? []) {
      bytes += chunk.length
      if (bytes > limits.bodyBytesMax) throw new MillraceError('body_too_large')
      chunks.push(chunk)
    }
  } catch (cause) {
    // The client does not get this error; it keeps `onError` from reporting the disconnect.
    if (hasLeft(cause)) throw new MillraceError('malformed_http', { cause })
    throw cause
  }
  onBody(bytes)
  return new TextDecoder().decode(Buffer.concat(chunks))
}

function hasLeft(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || (error as NodeJS.ErrnoException).code === 'ECONNRESET')
}
