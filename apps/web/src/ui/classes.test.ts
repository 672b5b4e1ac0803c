/** A class that no stylesheet has, and one that no element has, are both mistakes that nothing else would show. */
import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const source = fileURLToPath(new URL('..', import.meta.url))
const components = globSync('**/*.tsx', { cwd: source }).map((path) => {
  const text = readFileSync(join(source, path), 'utf8')
  const imports = [...text.matchAll(/import (\w+) from '(\S+\.module\.css)'/g)].map(([, name = '', file = '']) => ({
    name,
    file: resolve(source, dirname(path), file),
  }))
  return { text, imports }
})

test.each(globSync('**/*.module.css', { cwd: source }))('%s has the classes that components use, and no others', (path) => {
  const file = resolve(source, path)
  const defined = new Set(
    [
      ...readFileSync(file, 'utf8')
        .replace(/\/\*.*?\*\//gs, '')
        .matchAll(/\.([a-zA-Z]\w*)(?=[^{}]*\{)/g),
    ].map(([, name]) => name),
  )
  const used = components.flatMap(({ text, imports }) =>
    imports
      .filter((one) => one.file === file)
      .flatMap(({ name }) => [...text.matchAll(new RegExp(`(?<!/)\\b${name}\\.(\\w+)`, 'g'))].map(([, className]) => className)),
  )
  // The looks of a button are chosen by their names.
  const looks = basename(path) === 'button.module.css' ? ['icon', 'text', 'small', 'quiet', 'primary', 'link'] : []
  expect(new Set([...used, ...looks])).toEqual(defined)
})
