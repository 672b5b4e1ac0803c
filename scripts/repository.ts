/** What must hold for the repository itself; each problem is one sentence. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorDocsFile, renderErrorDocs } from './error-docs.ts'
import { root } from './install.mjs'

const linesMax = 400

export function findProblems(): string[] {
  return [...findIgnored(), ...findLongFiles(), ...findRegistries(), ...findStaleDocs()]
}

/** Both tracked and ignored: what changes there is not seen by anybody. */
function findIgnored(): string[] {
  return git('ls-files', '--cached', '--ignored', '--exclude-standard').map(
    (file) => `${file} is tracked although .gitignore names it.`,
  )
}

function findLongFiles(): string[] {
  const files = git('ls-files', '--cached', '--others', '--exclude-standard', '*.ts', '*.tsx')
  return files
    .filter((file) => existsSync(join(root, file)))
    .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > linesMax)
    .map(({ file, lines }) => `${file} has ${lines} lines; more than ${linesMax} are two files.`)
}

/** An address in the lock would send everybody to the registry of whoever wrote it. */
function findRegistries(): string[] {
  const found = readFileSync(join(root, 'package-lock.json'), 'utf8').match(/"resolved": "https?:[^"]*"/g) ?? []
  return found.length === 0 ? [] : [`package-lock.json names a registry ${found.length} times, first ${found[0]}; see .npmrc.`]
}

function findStaleDocs(): string[] {
  const written = existsSync(errorDocsFile) ? readFileSync(errorDocsFile, 'utf8') : ''
  return written === renderErrorDocs() ? [] : ['docs/errors.md does not say what the table of errors says; run npm run docs.']
}

function git(...args: string[]): string[] {
  const { status, stdout, stderr } = spawnSync('git', [...args, '-z'], { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`git ${args[0]} failed: ${stderr}`)
  return stdout.split('\0').filter((file) => file !== '')
}
