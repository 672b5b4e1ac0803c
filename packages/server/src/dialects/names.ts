/** The dialects of other people's clients, by the names with which they are switched on. */
export const dialectNames = ['ai-sdk', 'openai', 'ag-ui', 'tanstack', 'durable-streams', 'anthropic'] as const

export type DialectName = (typeof dialectNames)[number]

/** Throws a TypeError for a name that is none of them. */
export function checkDialects(names: readonly string[] = []): readonly DialectName[] {
  const wrong = names.find((name) => !(dialectNames as readonly string[]).includes(name))
  if (wrong === undefined) return names as readonly DialectName[]
  throw new TypeError(`dialects has ${JSON.stringify(wrong)}, which is none of ${dialectNames.join(', ')}.`)
}
