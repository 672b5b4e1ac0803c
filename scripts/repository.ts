/** Checks of the repository itself; each problem is one sentence. */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { errorDocsFile, renderErrorDocs } from './error-docs.ts'
import { root } from './install.mjs'
import { findBrokenCitations, findBrokenLinks, findLongTexts, findUntranslated, readDocuments } from './markdown.ts'
import { renderSettingsDocs } from './settings-docs.ts'

const linesMax = 400

export function findProblems(): string[] {
  return [
    ...findIgnored(),
    ...findLongFiles(),
    ...findRegistries(),
    ...findLockDrift(),
    ...findStaleDocs(),
    ...findLicences(),
    ...findDocumentFaults(),
  ]
}

/** npm packs only files in the folder of the package. */
function findLicences(): string[] {
  const licence = readFileSync(join(root, 'LICENSE'), 'utf8')
  return globSync('packages/*/package.json', { cwd: root })
    .map((file) => join(dirname(file), 'LICENSE'))
    .filter((file) => !existsSync(join(root, file)) || readFileSync(join(root, file), 'utf8') !== licence)
    .map((file) => `${file} is not the LICENSE of the repository; copy it.`)
}

/** Files that are tracked and ignored: `git status` does not show that they changed. */
function findIgnored(): string[] {
  return git('ls-files', '--cached', '--ignored', '--exclude-standard').map(
    (file) => `${file} is tracked, but .gitignore names it.`,
  )
}

function findLongFiles(): string[] {
  return listFiles('*.ts', '*.tsx')
    .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > linesMax)
    .map(({ file, lines }) => `${file} has ${lines} lines; split a file of more than ${linesMax}.`)
}

/** An address in the lock would send every installation to the registry of the person who wrote it. */
function findRegistries(): string[] {
  const found = readFileSync(join(root, 'package-lock.json'), 'utf8').match(/"resolved": "https?:[^"]*"/g) ?? []
  return found.length === 0 ? [] : [`package-lock.json names a registry ${found.length} times, first ${found[0]}; see .npmrc.`]
}

type Manifest = Readonly<Record<string, unknown>>

const dependencyFields = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies']

/** `npm ci` would reject such a lock, but is not used here: docs/decisions/0007. */
function findLockDrift(): string[] {
  const { workspaces } = readJson('package.json') as { workspaces: string[] }
  const files = globSync(['package.json', ...workspaces.map((folder) => `${folder}/package.json`)], { cwd: root })
  const manifests = Object.fromEntries(files.map((file) => [dirname(file), readJson(file)]))
  const { packages } = readJson('package-lock.json') as { packages: Record<string, Manifest> }
  return compareLock(packages, manifests).map(
    (folder) => `package-lock.json differs from ${join(folder, 'package.json')}; run npm install under the workspace's Node.`,
  )
}

/** The folders whose package.json names other dependencies than the lock. */
export function compareLock(locked: Readonly<Record<string, Manifest>>, manifests: Readonly<Record<string, Manifest>>): string[] {
  return Object.entries(manifests)
    .filter(([folder, manifest]) => {
      const entry = locked[folder === '.' ? '' : folder.replaceAll('\\', '/')]
      return !entry || dependencyFields.some((field) => !isDeepStrictEqual(entry[field] ?? {}, manifest[field] ?? {}))
    })
    .map(([folder]) => folder)
}

function findStaleDocs(): string[] {
  const written = existsSync(errorDocsFile) ? readFileSync(errorDocsFile, 'utf8') : ''
  const stale = renderSettingsDocs().filter(({ file, text }) => readFileSync(join(root, file), 'utf8') !== text)
  return [
    ...(written === renderErrorDocs() ? [] : ['docs/errors.md differs from the table of errors; run npm run docs.']),
    ...stale.map(({ file }) => `${file} differs from the table of settings; run npm run docs.`),
  ]
}

function findDocumentFaults(): string[] {
  const documents = readDocuments(root, listFiles('*.md'))
  const code = readDocuments(root, listFiles('*.ts', '*.tsx', '*.mjs', ':!scripts/markdown.test.ts')).texts
  return [
    ...findBrokenLinks(documents),
    ...findBrokenCitations(documents, code),
    ...findLongTexts(documents),
    ...findUntranslated(root),
  ]
}

function readJson(file: string): Manifest {
  return JSON.parse(readFileSync(join(root, file), 'utf8')) as Manifest
}

/** Files in the work tree that are tracked, or new and not ignored. */
export function listFiles(...patterns: string[]): string[] {
  return git('ls-files', '--cached', '--others', '--exclude-standard', ...patterns).filter((file) => existsSync(join(root, file)))
}

function git(...args: string[]): string[] {
  const { status, stdout, stderr } = spawnSync('git', [...args, '-z'], { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`git ${args[0]} failed: ${stderr}`)
  return stdout.split('\0').filter((file) => file !== '')
}
