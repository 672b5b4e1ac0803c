/** Ids that engines give out: 60 bits, so that two of them, such as the epochs of one name, never meet by chance. */

const digits = '0123456789abcdefghijklmnopqrstuv'
const length = 12
/** Drawn for a few hundred at once: an append may bring one along, and nearly none is used. */
const pool = new Uint8Array(length * 256)
let used = pool.length

export function newId(): string {
  if (used === pool.length) {
    crypto.getRandomValues(pool)
    used = 0
  }
  let id = ''
  for (const end = used + length; used < end; used++) id += digits[(pool[used] as number) % 32]
  return id
}
