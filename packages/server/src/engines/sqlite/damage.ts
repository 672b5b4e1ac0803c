/** Errors of damage, which the worker's answers classify. */

/** Damage of the file, with SQLite's own code for it. */
export function damage(what: string): Error {
  return Object.assign(new Error(what), { errcode: 11 })
}

/** Damage of one log, which SQLite does not detect. */
export function logDamage(what: string): Error {
  return Object.assign(new Error(what), { code: 'LOG_DAMAGED' })
}
