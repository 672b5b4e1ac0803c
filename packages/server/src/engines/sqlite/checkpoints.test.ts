import { statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it, onTestFinished } from 'vitest'
import { makeFolder } from '../../../test/support/process.ts'
import { bytesBetween, bytesPerCommit, Checkpoints } from './checkpoints.ts'

const mebibyte = 1024 * 1024

function open() {
  const file = join(makeFolder(), 'test.db')
  const database = new DatabaseSync(file)
  onTestFinished(() => database.close())
  database.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (data BLOB)')
  const insert = database.prepare('INSERT INTO t VALUES (zeroblob(?))')
  const write = (bytes: number) => void insert.run(bytes)
  return { file, database, write, logBytes: () => statSync(`${file}-wal`).size, checkpoints: new Checkpoints(file, database) }
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
