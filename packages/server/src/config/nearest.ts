/** The name that was probably meant by one that does not exist. */

/** ` Did you mean "…"?` with the nearest name; empty where none is near. */
export function suggest(name: string, names: Iterable<string>): string {
  const distanceMax = Math.max(2, Math.floor(name.length / 3))
  let nearest: string | undefined
  let best = distanceMax + 1
  for (const candidate of names) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance >= best) continue
    best = distance
    nearest = candidate
  }
  return nearest === undefined ? '' : ` Did you mean "${nearest}"?`
}

/** Levenshtein's: how many letters have to be added, removed or replaced. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, (previous[j] as number) + 1, (row[j - 1] as number) + 1))
    }
    previous = row
  }
  return previous[b.length] as number
}
