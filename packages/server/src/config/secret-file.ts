/** A secret in a file, which the variable of its name with `_FILE` names. */
import { readFileSync } from 'node:fs'
import { ConfigError } from './config-error.ts'

/** Without the line end. Throws a ConfigError for a file that cannot be read, or is empty. */
export function readSecretFile(variable: string, path: string): string {
  const text = read(variable, path).trimEnd()
  if (text === '') throw new ConfigError(`${variable} names ${path}, which is empty.`)
  return text
}

function read(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new ConfigError(`${variable} names ${path}, which cannot be read (${code}).`, { cause })
  }
}
