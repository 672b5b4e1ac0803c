/**
 * A model's name where there is little room: without its provider. Two simulations differ at the end,
 * `sim:count?n=200&tps=20` and `…tps=60`, so the middle is left out and not the end.
 */
export function shortenName(name: string, lengthMax: number): string {
  if (name.length <= lengthMax) return name
  const model = name.slice(name.indexOf(':') + 1)
  if (model.length <= lengthMax) return model
  const tail = Math.floor((lengthMax - 1) / 2)
  return `${model.slice(0, lengthMax - 1 - tail)}…${model.slice(-tail)}`
}
