/** Files to upload, and how. */

/** A picture of one pixel. */
export const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

export interface UploadAnswer {
  readonly status: number
  readonly headers: Headers
  /** Of an error. */
  readonly code: string | undefined
  readonly upload: {
    readonly session: string
    readonly upload: string
    readonly offset: number
    readonly size: number
    readonly mediaType: string
    readonly name?: string
    readonly position?: string
  }
}

export interface UploadRequest {
  readonly mediaType: string
  readonly name?: string
  readonly session?: string
  readonly headers?: Readonly<Record<string, string>>
}

export async function uploadTo(
  url: string,
  body: Uint8Array<ArrayBuffer>,
  { mediaType, name, session, headers = {} }: UploadRequest,
): Promise<UploadAnswer> {
  const query = new URLSearchParams({ ...(session !== undefined && { session }), ...(name !== undefined && { name }) })
  const sent = { 'content-type': mediaType, ...headers }
  const response = await fetch(`${url}/api/files?${query.toString()}`, { method: 'POST', headers: sent, body })
  const json = (await response.json()) as UploadAnswer['upload'] & { error?: { code: string } }
  return { status: response.status, headers: response.headers, code: json.error?.code, upload: json }
}
