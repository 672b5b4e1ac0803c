/** Ids that engines create: 60 random bits, so that two of them, such as two epochs of one name, do not collide. */

const digits = '0123456789abcdefghijklmnopqrstuv'
const length = 12
/** Random bytes for 256 ids at once: an append may carry a fresh epoch, and nearly none of them is used. */
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
