/** About four characters a token in Latin script, about one in Chinese: bytes of UTF-8 by four is near for both. */
export function estimateTokens(texts: readonly string[]): number {
  return Math.ceil(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 4)
}
