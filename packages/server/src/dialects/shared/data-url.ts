/** A `data:` URL in base64, whose type may be empty. Undefined for any other text. */
export function readDataUrl(url: string): { readonly mediaType: string; readonly bytes: Buffer } | undefined {
  const [, mediaType, data] = /^data:([^;,]*)(?:;[^,]*)?;base64,([A-Za-z0-9+/]*={0,2})$/.exec(url) ?? []
  return mediaType === undefined || data === undefined ? undefined : { mediaType, bytes: Buffer.from(data, 'base64') }
}
