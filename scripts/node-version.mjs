/**
 * Finds the Node that runs Millrace: the one installed with the packages (Linux), or the host's if it is new enough to run
 * TypeScript directly.
 */
import { existsSync, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import { Refusal } from './install.mjs'

const oldest = [22, 19]

/**
 * @typedef {{ node: string, env: NodeJS.ProcessEnv, isThisProcess: boolean }} Found
 * @param {string} root
 * @returns {Found}
 */
export function findNode(root) {
  const bin = join(root, 'node_modules/.bin')
  const installed = join(bin, 'node')
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== bin)
  // First on PATH, so that tasks start the same Node and the tools of the lock.
  const env = { ...process.env, PATH: [bin, ...path].join(delimiter) }
  if (existsSync(installed))
    return { node: installed, env, isThisProcess: realpathSync(installed) === realpathSync(process.execPath) }
  if (isNewEnough(process.versions.node)) return { node: process.execPath, env, isThisProcess: true }
  throw new Refusal(
    `Millrace runs on Node ${oldest.join('.')} or newer and this is ${process.versions.node}. On Linux with x64 or arm64 it brings its own; here, install one from https://nodejs.org and try again.`,
  )
}

/** @param {string} version */
export function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = oldest
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)
}
