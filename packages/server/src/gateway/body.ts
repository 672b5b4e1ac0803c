/** Bodies of requests: only JSON, and bounded in bytes. A client that disconnects in the middle is not a server error. */
import { limits, MillraceError } from '@millrace/protocol'

export interface BodyOptions {
  /** The body where the host, such as Express, has read it already. */
  readonly hostBody: unknown
  /** Node has parsed the request: its body is exactly as long as it says, where it says it. */
  readonly isNode: boolean
  /** Called with the size of a body that is read here. */
  readonly onBody: (bytes: number) => void
  readonly takesAnyType?: boolean | undefined
}

export async function readJson(request: Request, { hostBody, takesAnyType = false, ...options }: BodyOptions): Promise<unknown> {
  const body = typeof hostBody === 'object' && hostBody !== null ? hostBody : await readText(request, options)
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

type TextOptions = Pick<BodyOptions, 'isNode' | 'onBody'>

/** Without the byte order mark that PowerShell and .NET put before it. */
async function readText(request: Request, { isNode, onBody }: TextOptions): Promise<string> {
  const length = request.headers.get('content-length')
  if (Number(length ?? 0) > limits.bodyBytesMax) throw new MillraceError('body_too_large')
  try {
    // Without a web stream, which would cost more than all else of the request.
    if (isNode && length !== null) {
      const text = await request.text()
      onBody(Number(length))
      return text
    }
    const bytes = await readBounded(request.body)
    onBody(bytes.length)
    return new TextDecoder().decode(bytes)
  } catch (cause) {
    // The client does not get this error; it keeps `onError` from reporting the disconnect.
    if (hasLeft(cause)) throw new MillraceError('malformed_http', { cause })
    throw cause
  }
}

/** Never holds more than one chunk over the limit. */
async function readBounded(body: Request['body']): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.length
    if (bytes > limits.bodyBytesMax) throw new MillraceError('body_too_large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function hasLeft(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || (error as NodeJS.ErrnoException).code === 'ECONNRESET')
}
