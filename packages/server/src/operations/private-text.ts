/**
 * Texts that an error may repeat and that are in no log: providers and parsers quote what they were given. Kept by the error,
 * and for as long as it.
 */
const texts = new WeakMap<object, readonly string[]>()

/** Shorter pieces would be found in every sentence. */
const lengthMin = 8

/** The error, and what caused it, is about to be reported, and may repeat these texts. */
export function markPrivate(error: unknown, ...given: readonly string[]): void {
  if (typeof error === 'object' && error !== null) texts.set(error, given)
}

/** Removes what the error may repeat, as it was given and as it is in JSON, whole or line by line. */
export function hidePrivate(error: unknown, written: string): string {
  const pieces = [...(texts.get(error as object) ?? [])]
    .flatMap((text) => [text, ...text.split(/\r?\n/)])
    .flatMap((piece) => [piece, JSON.stringify(piece).slice(1, -1)])
    .filter((piece) => piece.length >= lengthMin)
  return pieces.reduce((rest, piece) => rest.replaceAll(piece, '[private]'), written)
}
