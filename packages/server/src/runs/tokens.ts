/** About four characters a token in Latin script and one in Chinese: a quarter of the UTF-8 bytes is close for both. */
export function estimateTokens(texts: readonly string[]): number {
  return Math.ceil(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 4)
}
