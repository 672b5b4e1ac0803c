/** Paths of keys, such as `access.origins`, as types: so that the compiler finds an option that has no setting. */

type Leaf = string | number | boolean | readonly unknown[] | URL | ((...parameters: never[]) => unknown)

type Below<Key extends string, Value> = Value extends Leaf
  ? never
  : string extends keyof Value
    ? never
    : `${Key}.${PathOf<Value>}`

/** The path of every key of `T`, and of every key below it. */
export type PathOf<T> = { [K in keyof T & string]-?: K | Below<K, NonNullable<T[K]>> }[keyof T & string]

/** Paths of `T` that have no key below them, and are neither a `Key` nor below one. */
export type Uncovered<T, Key extends string> = {
  [K in keyof T & string]-?: K extends Key
    ? never
    : [Below<K, NonNullable<T[K]>>] extends [never]
      ? K
      : UncoveredBelow<K, NonNullable<T[K]>, Key>
}[keyof T & string]

type UncoveredBelow<Prefix extends string, T, Key extends string> = {
  [K in keyof T & string]-?: `${Prefix}.${K}` extends Key ? never : `${Prefix}.${K}`
}[keyof T & string]
