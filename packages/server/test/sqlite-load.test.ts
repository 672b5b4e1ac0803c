/** The SQLite engine gets more requests than its disk can do: it performs them in groups, and rejects what exceeds its queue. */
import type { MillraceError } from 'millrace'
import { expect, it } from 'vitest'
import { makeFolder } from './support/process.ts'
import { openSqlite } from './support/sqlite.ts'

// A busy machine may need longer for all of them than a call waits by default.
const open = () => openSqlite(makeFolder(), { timeoutMs: 60_000 }).engine

const text = (length: number) => ({ type: 'm', data: 'x'.repeat(length) })
const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'taken',
    ({ code }: MillraceError) => code,
  )

// What happened: after a restart all clients read at once, in one group that every append had to wait for.
it('appends while thousands of pages are read', async () => {
  const engine = open()
  const { position } = await engine.append(
    'read',
    Array.from({ length: 3000 }, () => text(1000)),
  )
  let pages = 0
  const start = { ...position, offset: 0 }
  const reading = Array.from({ length: 1000 }, async () => {
    await engine.read('read', start, { bytesMax: 128 * 1024 })
    pages += 1
  })
  for (let n = 0; n < 5; n++) await engine.append('written', [text(10)])
  expect(pages).toBeLessThan(500)
  await Promise.all(reading)
})

it('rejects calls beyond the bound of its queue, and performs all others', async () => {
  const engine = open()
  await engine.append('a', [])
  const inspected = await Promise.all(Array.from({ length: 21_000 }, () => codeOf(engine.inspect('a'))))
  expect(new Set(inspected)).toEqual(new Set(['taken', 'engine_busy']))
  const appended = await Promise.all(Array.from({ length: 80 }, () => codeOf(engine.append('a', [text(1_000_000)]))))
  expect(new Set(appended)).toEqual(new Set(['taken', 'engine_busy']))
  const taken = appended.filter((code) => code === 'taken')
  expect((await engine.inspect('a'))?.head.offset).toBe(taken.length)
  expect(await codeOf(engine.append('a', [text(1)]))).toBe('taken')
})
