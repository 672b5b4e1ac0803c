import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { expect, it, onTestFinished } from 'vitest'
import { makeFolder } from '../../../test/support/process.ts'
import { bytesBetween, bytesPerCommit, Checkpoints } from './checkpoints.ts'

const mebibyte = 1024 * 1024

function open(version?: string) {
  const file = join(makeFolder(), 'test.db')
  const database = new DatabaseSync(file, { timeout: 1 })
  onTestFinished(() => {
    if (database.isOpen) database.close()
  })
  database.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (data BLOB)')
  const insert = database.prepare('INSERT INTO t VALUES (zeroblob(?))')
  const write = (bytes: number) => void insert.run(bytes)
  const checkpoints = new Checkpoints(file, database, version)
  return { file, database, write, logBytes: () => statSync(`${file}-wal`).size, checkpoints }
}

/** Calls it with each thread that this one starts from here on. */
async function onThread(act: (worker: Worker) => void): Promise<void> {
  // Node does so in the next tick: after that of earlier ones.
  await setImmediate()
  process.on('worker', act)
  onTestFinished(() => void process.off('worker', act))
}

/** Another program that reads the file, and goes on to see it as it is now. */
function openReader(file: string) {
  const reader = new DatabaseSync(file)
  onTestFinished(() => reader.close())
  reader.exec('BEGIN')
  const count = () => Number((reader.prepare('SELECT count(*) AS count FROM t').get() as { count: number }).count)
  return { count, before: count(), end: () => reader.exec('COMMIT') }
}

it('copies the log while it is written to, and lets it start from its beginning again', () => {
  const { file, write, logBytes, checkpoints } = open()
  for (let round = 0; round < 5; round++) {
    write(mebibyte)
    checkpoints.noteCommit(bytesBetween)
    // It may be copied already, or not.
    write(1000)
    checkpoints.settle()
    checkpoints.noteCommit(0)
  }
  write(1000)
  expect(logBytes()).toBeLessThan(1.5 * mebibyte)
  expect(statSync(file).size).toBeGreaterThan(5 * mebibyte)
})

it('counts with a commit the pages that it takes, and does nothing before there is enough', () => {
  const { file, write, checkpoints } = open()
  const before = statSync(file).size
  const commit = () => {
    checkpoints.noteCommit(100)
    checkpoints.settle()
  }
  write(mebibyte)
  const most = Math.floor(bytesBetween / (bytesPerCommit + 100))
  for (let commits = 0; commits < most; commits++) commit()
  expect(statSync(file).size).toBe(before)
  commit()
  expect(statSync(file).size).toBeGreaterThan(mebibyte)
})

it('copies the log at once when a commit had no room', () => {
  const { file, write, checkpoints } = open()
  write(mebibyte)
  checkpoints.noteFull()
  checkpoints.settle()
  expect(statSync(file).size).toBeGreaterThan(mebibyte)
})

it('waits for the other thread where much is appended meanwhile', () => {
  const { file, write, checkpoints } = open()
  write(mebibyte)
  checkpoints.noteCommit(bytesBetween)
  checkpoints.noteCommit(2 * bytesBetween)
  expect(statSync(file).size).toBeGreaterThan(mebibyte)
})

it.each([0, bytesBetween])('empties the log after commits of %d bytes, also while the other thread is at it', (bytes) => {
  const { file, write, logBytes, checkpoints } = open()
  for (let n = 0; n < 64; n++) write(mebibyte)
  checkpoints.noteCommit(bytes)
  while (bytes > 0 && statSync(file).size < mebibyte);
  checkpoints.truncate()
  expect(logBytes()).toBe(0)
})

it('copies all of the log later where another program has long been reading, which sees what it saw', () => {
  const { file, write, logBytes, checkpoints } = open()
  write(mebibyte)
  const reader = openReader(file)
  const copy = () => {
    write(mebibyte)
    checkpoints.noteCommit(bytesBetween)
    checkpoints.settle()
    checkpoints.noteCommit(0)
  }
  for (let round = 0; round < 5; round++) copy()
  expect(reader.count()).toBe(reader.before)
  expect(statSync(file).size).toBeLessThan(2 * mebibyte)
  const most = logBytes()
  reader.end()
  copy()
  expect(statSync(file).size).toBeGreaterThan(7 * mebibyte)
  for (let round = 0; round < 5; round++) copy()
  expect(logBytes()).toBeLessThan(most + 1.5 * mebibyte)
})

it('empties the log when another program no longer reads it', () => {
  const { file, write, logBytes, checkpoints } = open()
  write(mebibyte)
  const reader = openReader(file)
  write(mebibyte)
  checkpoints.truncate()
  checkpoints.truncateAgain()
  expect(logBytes()).toBeGreaterThan(mebibyte)
  reader.end()
  checkpoints.truncateAgain()
  expect(logBytes()).toBe(0)
  write(mebibyte)
  checkpoints.truncateAgain()
  expect(logBytes()).toBeGreaterThan(mebibyte)
})

it('leaves no log when it is closed during a checkpoint', () => {
  const { file, database, write, checkpoints } = open()
  write(32 * mebibyte)
  checkpoints.noteCommit(bytesBetween)
  checkpoints.settle()
  database.close()
  expect(existsSync(`${file}-wal`)).toBe(false)
  expect(statSync(file).size).toBeGreaterThan(32 * mebibyte)
})

it('starts another thread when the first was ended during a checkpoint', async () => {
  const { file, write, checkpoints } = open()
  const threads: Worker[] = []
  await onThread((worker) => threads.push(worker))
  checkpoints.noteCommit(bytesBetween)
  await setImmediate()
  await threads[0]?.terminate()
  write(mebibyte)
  checkpoints.noteCommit(mebibyte)
  checkpoints.settle()
  expect(statSync(file).size).toBeGreaterThan(mebibyte)
})

it('copies the log itself where the other thread cannot open the file', () => {
  const { database, file, write } = open()
  const checkpoints = new Checkpoints('/dev/null/test.db', database)
  write(mebibyte)
  checkpoints.noteCommit(bytesBetween)
  checkpoints.settle()
  checkpoints.noteCommit(0)
  expect(statSync(file).size).toBeGreaterThan(mebibyte)
})

it.each([
  ['3.51.2', 0],
  ['3.51.3', 1],
  ['3.53.10', 1],
])('has with SQLite %s so many other threads: %d', async (version, threads) => {
  const { file, write, checkpoints } = open(version)
  const started: Worker[] = []
  await onThread((worker) => started.push(worker))
  write(mebibyte)
  checkpoints.noteCommit(bytesBetween)
  checkpoints.settle()
  expect(statSync(file).size).toBeGreaterThan(mebibyte)
  await setImmediate()
  expect(started).toHaveLength(threads)
})
