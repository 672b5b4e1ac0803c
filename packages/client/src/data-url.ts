/** Bytes in an address, as other libraries keep files in their messages. */
export function toDataUrl(bytes: Uint8Array, mediaType: string): string {
  let text = ''
  // In pieces: each is arguments of one call.
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return `data:${mediaType};base64,${btoa(text)}`
}
