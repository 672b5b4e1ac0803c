/**
 * Installs the packages if node_modules does not contain what package-lock.json names. Compares contents, not times: a
 * checkout changes times without a change, and npm writes the lock last.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** An error for people: its message says what to do, without a stack. */
export class Refusal extends Error {
  /** @override */
  name = 'Refusal'
}

/**
 * A package in a lock.
 * @typedef {{ version?: string, link?: boolean, optional?: boolean, os?: OneOrMore, cpu?: OneOrMore, libc?: OneOrMore }} LockEntry
 * @typedef {string | string[]} OneOrMore
 * @typedef {{ packages?: Record<string, LockEntry> }} Lock
 * @typedef {{ platform: string, arch: string }} Machine
 */

/**
 * The first required package that is missing; undefined if all are installed.
 * @param {Lock} wanted package-lock.json
 * @param {Lock | undefined} installed node_modules/.package-lock.json, which npm writes when it has finished
 * @param {Machine} machine
 * @param {(path: string) => boolean} isThere whether a folder that npm has installed still exists
 * @returns {string | undefined}
 */
export function findMissing(wanted, installed, machine, isThere) {
  if (installed === undefined) return 'node_modules'
  for (const [path, entry] of Object.entries(wanted.packages ?? {})) {
    // The other keys are the folders of the workspaces.
    if (!path.includes('node_modules/')) continue
    const present = installed.packages?.[path]
    if (present ? present.version !== entry.version || !isThere(path) : !isOptionalHere(entry, machine)) return path
  }
  return undefined
}

export function ensureInstalled() {
  const wanted = readLock(join(root, 'package-lock.json'))
  if (wanted === undefined) throw new Refusal('package-lock.json is missing; take it from the repository again.')
  const installed = readLock(join(root, 'node_modules/.package-lock.json'))
  const missing = findMissing(wanted, installed, process, (path) => existsSync(join(root, path)))
  if (missing === undefined) return
  console.error(`Installing packages (${missing} is missing or another version) …`)
  // The npm that runs this script, if one does: npm may not be on PATH.
  const npm = process.env['npm_execpath']
  // Not `npm ci`: a lock written with a registry that lacks the optional packages of other machines has no entry for
  // them, and `npm ci` rejects it. This installs the same versions, adds the optional packages of this machine, and
  // writes neither file.
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']
  const { status, error } = npm?.endsWith('.js')
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ['inherit', 2, 2] })
    : spawnSync('npm', args, { cwd: root, stdio: ['inherit', 2, 2], shell: process.platform === 'win32' })
  if (status === 0) return
  throw new Refusal(
    `npm install did not succeed${error ? `: ${error.message}` : ''}. Packages are needed once; is the registry reachable?`,
  )
}

/**
 * An optional package for another machine may be absent. One that names no machine was installed with its parent, or
 * not, as npm decided.
 * @param {LockEntry} entry
 * @param {Machine} machine
 */
function isOptionalHere({ optional, os, cpu, libc }, { platform, arch }) {
  if (!optional) return false
  if (os === undefined && cpu === undefined) return true
  // The C library of a Linux cannot be detected cheaply; npm has chosen.
  return libc !== undefined || !isNamed(os, platform) || !isNamed(cpu, arch)
}

/**
 * A single name may be written without a list, in which `includes` would find "arm" in "arm64".
 * @param {OneOrMore | undefined} names
 * @param {string} name
 */
function isNamed(names, name) {
  return names === undefined || [names].flat().includes(name)
}

/**
 * @param {string} file
 * @returns {Lock | undefined}
 */
function readLock(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    // Missing or incomplete: npm replaces both.
    return undefined
  }
}
